// What a decision page tells besides the package, asked for once the page is there: track records, what
// was refused, and what other rounds on the same subject came to.

import { ask, Refusal } from "./api.js";
import { h, text } from "./dom.js";
import { folded, some } from "./told.js";
import * as words from "./words.js";

// Scores asked for at once, and how often at most.
const SCORES = 1000;
const PAGES = 5;
// Records of a round asked for at once.
const RECORDS = 1000;
// Outcomes of other rounds that are asked for.
const OTHERS = 20;

/** Fills in the track records of those whose cells are in `place`, under the policy of `pattern`. */
export async function records(place, pattern, signal) {
  const { policies } = await ask("../v1/policies", { limit: SCORES }, signal);
  const policy = policies.find((one) => one.pattern === pattern);
  const scores = await scoresOf(policy?.trust_domain ?? pattern, signal);
  const fill = () => {
    for (const cell of place.querySelectorAll("[data-record]")) {
      const score = scores.get(cell.dataset.record);
      const record = cell.querySelector(".record");
      if (score && score.revision > 0) record.textContent = `; ${words.record(score)}`;
    }
  };
  fill();
  place.addEventListener("more", fill);
}

async function scoresOf(domain, signal) {
  const scores = new Map();
  let after = null;
  for (let page = 0; page < PAGES; page += 1) {
    const query = { trust_domain: domain, limit: SCORES, after };
    const { trust, next } = await ask("../v1/trust", query, signal);
    for (const score of trust) scores.set(score.agent_id, score);
    if (next === null) break;
    after = next;
  }
  return scores;
}

/** Responses that were refused, as those that came late: each with its code. Nothing until there is one. */
export function refused(one, house, signal) {
  const list = h("ul", { class: "refused" });
  const part = folded("Came late, or was refused", null, true, list);
  part.hidden = true;
  const fill = async () => {
    const all = await responses(one.proposal_id, signal);
    const said = all.filter((record) => record.refused !== null);
    part.append(some(list, said, refusal) ?? "");
    part.hidden = said.length === 0;
  };
  fill().catch(house.failed);
  return part;
}

async function responses(id, signal) {
  const path = `../v1/rounds/${encodeURIComponent(id)}/records`;
  const found = [];
  let after = null;
  for (let page = 0; page < PAGES; page += 1) {
    const { records, next } = await ask(path, { limit: RECORDS, after }, signal);
    found.push(...records.filter(({ topic }) => topic === "responses"));
    if (next === null) break;
    after = next;
  }
  return found;
}

function refusal({ by, says, timestamp, refused: { code, detail } }) {
  return h(
    "li",
    {},
    text(by ?? "somebody"),
    ` ${words.VERDICTS[says] ?? says}, ${words.moment(timestamp)}: `,
    h("code", {}, code),
    " ",
    h("span", { class: "faint" }, text(detail)),
  );
}

/**
 * Other rounds on the same subject, and what they came to: those the package names, which ran when it was
 * made, and those that are remembered here. Nothing is shown until there is one.
 */
export function others(one, house, signal) {
  const list = h("ul", { class: "others" });
  const part = folded("Other rounds on the same subject", null, true, list);
  part.hidden = true;
  const fill = async () => {
    const { subject } = one.content.proposal.action;
    const { outcomes } = await ask("../v1/outcomes", { subject, limit: OTHERS }, signal);
    const last = new Map();
    for (const outcome of outcomes) {
      const known = last.get(outcome.proposal_id);
      if (!known || known.resolution < outcome.resolution) last.set(outcome.proposal_id, outcome);
    }
    const unknown = one.related.filter((id) => !last.has(id)).slice(0, OTHERS);
    for (const id of unknown) last.set(id, await lastOf(id, signal));
    last.delete(one.proposal_id);
    list.append(...[...last].map(([id, outcome]) => other(id, outcome, house)));
    part.hidden = last.size === 0;
  };
  fill().catch(house.failed);
  return part;
}

/** What a round came to last; null: it runs; undefined: nobody knows here. */
async function lastOf(id, signal) {
  try {
    const path = `../v1/rounds/${encodeURIComponent(id)}/outcomes`;
    const { outcomes } = await ask(path, {}, signal);
    return outcomes.at(-1) ?? null;
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 404) throw error;
    return undefined;
  }
}

function other(id, outcome, house) {
  const where = `?round=${encodeURIComponent(id)}`;
  const go = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    house.go(where);
  };
  return h("li", {}, h("a", { href: where, onclick: go }, text(id)), " ", cameTo(outcome));
}

function cameTo(outcome) {
  if (outcome === null) return "is open";
  if (outcome === undefined) return "is not remembered here; `quorate show` finds it";
  const { decision, coordinates } = outcome;
  const by = coordinates.judged.at(-1);
  return [
    decision.status.toLowerCase(),
    ", ",
    by === undefined ? words.reason(decision.reasons[0]) : ["by ", text(by.reviewer)],
    `, ${words.moment(by?.timestamp ?? coordinates.closing_time)}`,
  ];
}
