// What pages of rounds have in common.

import { h, text } from "./dom.js";
import * as words from "./words.js";

// Rows of a table, and items of a list, that are shown at first.
const SHOWN = 50;

/** A part of a page. */
export function section(title, ...children) {
  return h("section", {}, h("h2", {}, title), ...children);
}

/** The same, which can be folded, with how many there are. */
export function folded(title, count, isOpen, ...children) {
  return h(
    "details",
    { class: "part", open: isOpen },
    h("summary", {}, h("h2", {}, title), count === null ? null : ` ${count}`),
    ...children,
  );
}

/** What both sides come to, in a line. */
export function sums(decision) {
  return h(
    "p",
    {},
    `for ${words.number(decision.E)}, against ${words.number(decision.C)}; margin ` +
      `${words.number(decision.margin_reached)}, needed ${words.number(decision.margin_needed)}; ` +
      `that it is good: ${words.percent(decision.p)}`,
  );
}

/** Puts the first of many into `place`; a button that puts the others there, if there are any. */
export function some(place, all, make) {
  const rest = all.slice(SHOWN);
  place.append(...all.slice(0, SHOWN).map(make));
  if (rest.length === 0) return null;
  const more = h("button", { type: "button", class: "quiet" }, `Show all ${all.length}`);
  const foot = h("p", { class: "more" }, more);
  more.addEventListener("click", () => {
    place.append(...rest.map(make));
    foot.replaceWith();
    place.dispatchEvent(new Event("more", { bubbles: true }));
  });
  return foot;
}

const COLUMNS = [
  "agent",
  "says",
  "authority",
  "× confidence",
  "× trust",
  "= weight",
  "track record",
];
const BLIND = ["agent", "says"];
const UNCOUNTED = ["agent", "says", "why it does not count"];

/**
 * Every ballot, counted ones by weight: authority × confidence × trust = weight; `replaced`: how many
 * earlier responses each agent has taken back, by agent; `blind`: by name, without what they weigh.
 */
export function ballots(all, { replaced = new Map(), blind = false } = {}) {
  const counted = all.filter((ballot) => ballot.counted);
  const rest = all.filter((ballot) => !ballot.counted);
  const byName = (a, b) => (a.agent_id < b.agent_id ? -1 : 1);
  if (blind) return table(BLIND, counted.sort(byName), (one) => row(one, replaced));
  counted.sort((a, b) => b.weight - a.weight || byName(a, b));
  return [
    counted.length > 0
      ? table(COLUMNS, counted, (one) => row(one, replaced, ...factors(one)))
      : h("p", {}, "Nobody's counted."),
    rest.length > 0
      ? folded(
          "Not counted",
          rest.length,
          rest.length < 10,
          table(UNCOUNTED, rest, (one) =>
            row(
              one,
              replaced,
              h("td", { class: "words" }, words.UNCOUNTED[one.reason] ?? one.reason),
            ),
          ),
        )
      : null,
  ];
}

function row(ballot, replaced, ...cells) {
  const before = replaced.get(ballot.agent_id) ?? 0;
  return h(
    "tr",
    { class: ballot.counted ? null : "uncounted" },
    h(
      "th",
      { scope: "row" },
      text(ballot.agent_id),
      before > 0
        ? h("span", { class: "faint" }, ` changed its mind, ${words.times(before)}`)
        : null,
    ),
    h("td", {}, words.VERDICTS[ballot.verdict]),
    cells,
  );
}

function factors(ballot) {
  return [
    h("td", {}, words.number(ballot.authority, 2)),
    h("td", {}, words.number(ballot.confidence, 2)),
    h("td", {}, words.number(ballot.trust)),
    h("td", {}, words.number(ballot.weight)),
    h(
      "td",
      { class: "words", "data-record": ballot.agent_id },
      `a vote worth ${words.percent(ballot.trust)} of an expert's`,
      h("span", { class: "record" }, ballot.trust_revision === 0 ? "; no results yet" : ""),
    ),
  ];
}

function table(columns, all, make) {
  const body = h("tbody");
  const whole = h(
    "table",
    { class: "ballots" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        columns.map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    body,
  );
  const more = some(body, all, make);
  const label = `Ballots: ${columns.join(", ")}`;
  return [
    h("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": label }, whole),
    more,
  ];
}
