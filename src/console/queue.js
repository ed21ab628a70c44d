// What waits for a human, and why.

import { ask, hear } from "./api.js";
import * as claims from "./claims.js";
import { h, text } from "./dom.js";
import * as words from "./words.js";

const STAKES = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];
// How often is looked again, whatever is told: the time left goes by, and streams may break.
const AGAIN = 15_000;
// How long news are gathered.
const GATHERED = 200;
const LATER = 2000;

// Escalations on a page: each comes whole, with all that was said.
const LIMIT = 50;

/** What the queue is made of, to be asked for ahead. */
export const waiting = (search) => ["../v1/escalations", sought(wanted(search))];

/** As it is asked for: only what whoever asks may decide, unless all is wanted. */
const sought = ({ all, ...filter }) => ({
  ...filter,
  mine: all === "" ? "true" : "",
  limit: LIMIT,
});

/** What the URL says is wanted. */
function wanted(search) {
  const given = new URLSearchParams(search);
  const of = (name) => given.get(name) ?? "";
  return { domain: of("domain"), stakes: of("stakes"), all: of("all"), after: of("after") };
}

/** The page: `house` tells where to go and what the title counts. */
export async function queue(main, house, signal) {
  const filter = wanted(location.search);
  // Who is no reviewer may decide nothing, and looks on.
  if (!house.is("reviewer")) filter.all = "1";
  const list = h("ol", { class: "queue", "aria-label": "Waiting for a decision" });
  const count = h("p", { class: "count", role: "status" });
  const arrived = h("p", { class: "unseen", role: "status" });
  const more = h("p", { class: "more" });
  main.replaceChildren(h("h1", {}, "Needs you"), form(filter, house), count, arrived, list, more);
  let rows = null;
  const look = async () => {
    const page = await ask("../v1/escalations", sought(filter), signal);
    const before = rows;
    rows = new Map(page.escalations.map((one) => [one.proposal_id, again(before, one, house)]));
    settle(list, [...rows.values()]);
    const all =
      page.next === null ? `${page.escalations.length}` : `more than ${page.escalations.length}`;
    tell(count, page.escalations.length === 0 ? "Nothing waits." : `${all} waiting`);
    if (before !== null) {
      const fresh = page.escalations.filter((one) => !before.has(one.proposal_id));
      if (fresh.length > 0) tell(arrived, `Arrived: ${fresh.map(named).join("; ")}`);
    }
    house.counted(page.escalations.length, page.next !== null);
    more.replaceChildren(
      page.next === null ? "" : link({ ...filter, after: page.next }, "Next page"),
    );
    if (!list.querySelector("[aria-current]")) choose(list, list.firstElementChild);
  };
  await look();
  house.news = () => look().catch(house.failed);
  const timer = setInterval(house.news, AGAIN);
  let soon;
  let later;
  const gathered = () => {
    clearTimeout(soon);
    clearTimeout(later);
    soon = setTimeout(house.news, GATHERED);
    // A package may be read a moment after its outcome.
    later = setTimeout(house.news, LATER);
  };
  // A round has an outcome when it is escalated, and another when a person has decided.
  hear("../v1/outcomes", "Outcome", gathered, signal);
  claims.heard("", gathered, signal);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    clearTimeout(soon);
    clearTimeout(later);
  });
  const step = (by) => {
    const all = [...list.children];
    const at = all.findIndex((row) => row.hasAttribute("aria-current"));
    choose(list, all[Math.min(all.length - 1, Math.max(0, at + by))], true);
  };
  const claim = async () => {
    const chosen = list.querySelector("[aria-current]")?.dataset.round;
    const one = rows.get(chosen)?.one;
    if (one) await claims.toggle(one, house.me).finally(look);
  };
  return {
    claim: () => claim().catch(house.failed),
    next: () => step(1),
    previous: () => step(-1),
    open: () => list.querySelector("[aria-current] a")?.click(),
  };
}

/** What is said only where it is another: what is heard twice is no news. */
function tell(place, what) {
  if (place.textContent !== what) place.textContent = what;
}

const named = ({ content: { proposal } }) =>
  `${proposal.action.type} ${proposal.action.subject}`.slice(0, 80);

/** A row as it was, but for the time; a new one where anything else is another. */
function again(before, one, house) {
  const said = JSON.stringify(one);
  const known = before?.get(one.proposal_id);
  if (known === undefined || known.said !== said) return { said, one, element: row(one, house) };
  const due = known.element.querySelector(".due");
  tell(due, age(one));
  due.className = dueClass(one);
  return known;
}

/** Puts rows in order without touching those that stay: whoever is on one stays there. */
function settle(list, rows) {
  const elements = rows.map(({ element }) => element);
  const current = list.querySelector("[aria-current]")?.dataset.round;
  for (const gone of [...list.children].filter((row) => !elements.includes(row))) {
    const heir = elements.find((row) => row.dataset.round === gone.dataset.round);
    if (heir === undefined) continue;
    const isThere = gone.contains(document.activeElement);
    gone.replaceWith(heir);
    if (isThere) heir.querySelector("a").focus({ preventScroll: true });
    if (heir.dataset.round === current) heir.setAttribute("aria-current", "true");
  }
  for (const gone of [...list.children].filter((row) => !elements.includes(row))) gone.remove();
  elements.forEach((row, at) => {
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
}

function choose(list, row, reveals = false) {
  for (const other of list.querySelectorAll("[aria-current]"))
    other.removeAttribute("aria-current");
  if (!row) return;
  row.setAttribute("aria-current", "true");
  if (reveals) {
    row.querySelector("a").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
}

function link(filter, label) {
  const given = Object.entries(filter).filter(([, value]) => value !== "");
  return h("a", { href: given.length === 0 ? "./" : `?${new URLSearchParams(given)}` }, label);
}

function form(filter, house) {
  const stakes = h(
    "select",
    { name: "stakes" },
    h("option", { value: "" }, "any stakes"),
    STAKES.map((one) =>
      h("option", { value: one, selected: one === filter.stakes }, one.toLowerCase()),
    ),
  );
  const domain = h("input", {
    name: "domain",
    value: filter.domain,
    placeholder: "any domain",
    "aria-label": "Domain",
    autocomplete: "off",
  });
  const apply = (event) => {
    event.preventDefault();
    const given = [
      ["domain", domain.value.trim()],
      ["stakes", stakes.value],
      ["all", filter.all],
    ];
    house.go(`./?${new URLSearchParams(given.filter(([, value]) => value !== ""))}`);
  };
  stakes.addEventListener("change", apply);
  return h(
    "form",
    { class: "filter", onsubmit: apply },
    domain,
    h("label", {}, h("span", { class: "unseen" }, "Stakes"), stakes),
    h("button", { type: "submit" }, "Show"),
    house.is("reviewer")
      ? h(
          "span",
          { class: "whose" },
          whose(filter, "", "What I may decide"),
          " ",
          whose(filter, "1", "All"),
        )
      : null,
  );
}

/** The way to what I may decide, or to all. */
function whose(filter, all, label) {
  const shown = link({ ...filter, all, after: "" }, label);
  if (filter.all === all) shown.setAttribute("aria-current", "true");
  return shown;
}

const left = (one) => one.due - Date.now();
const dueClass = (one) => (left(one) > 0 ? "due" : "due late");

function age(one) {
  const rest = left(one);
  const due =
    rest > 0
      ? `due in ${words.span(rest)}, ${words.AFTERWARDS[one.on_decision_timeout]}`
      : `overdue by ${words.span(-rest)}`;
  return `waiting ${words.span(Date.now() - one.coordinates.closing_time)}, ${due}`;
}

function row(one, house) {
  const { proposal, decision } = one.content;
  const { action } = proposal;
  const where = `?round=${one.proposal_id}`;
  const go = (event) => {
    event.preventDefault();
    house.go(where);
  };
  return h(
    "li",
    { "data-round": one.proposal_id },
    h(
      "a",
      { href: where, onclick: go },
      h("strong", {}, text(action.type), " ", text(action.subject)),
      h(
        "span",
        { class: "parameters" },
        action.parameters.map((p) => [" ", text(p.key), " ", text(p.value)]),
      ),
    ),
    h("span", { class: `stakes ${decision.stakes.toLowerCase()}` }, decision.stakes.toLowerCase()),
    h("span", { class: "domain" }, text(proposal.domain)),
    h("span", { class: "why" }, words.reason(decision.reasons[0])),
    h("span", { class: dueClass(one) }, age(one)),
    one.approvals_needed > 1
      ? h(
          "span",
          { class: "approvals" },
          `${one.approvals.length} of ${one.approvals_needed} approvals`,
        )
      : null,
    claims.shown(one, house.me),
  );
}
