// A round that no human has to decide: what it would do, where it stands, and what it came to.

import { ask, Refusal } from "./api.js";
import { bars } from "./bars.js";
import { h, prose, text } from "./dom.js";
import { result } from "./result.js";
import { place, when } from "./tables.js";
import { ballots, section, some, sums } from "./told.js";
import * as words from "./words.js";

/** The page of `one`, the round's last record. */
export async function round(main, signal, one) {
  const [{ outcomes }, records] = await Promise.all([
    ask(`../v1/rounds/${one.proposal_id}/outcomes`, {}, signal),
    all(one.proposal_id, signal),
  ]);
  const again = async () => round(main, signal, await found(one.proposal_id, signal));
  const { opening } = one;
  const last = outcomes.at(-1);
  main.replaceChildren(
    h(
      "article",
      { class: "round", "data-round": one.proposal_id },
      h("h1", {}, `Round ${one.proposal_id}`),
      h(
        "p",
        { class: "facts" },
        h("strong", {}, one.state.toLowerCase()),
        h("span", {}, "proposed by ", text(opening.proposer)),
        h("span", {}, "under the policy of ", text(opening.pattern)),
        h(
          "span",
          {},
          one.state === "OPEN" ? "closes " : "its deadline was ",
          when(opening.deadline),
        ),
      ),
      last
        ? section(
            "What was said",
            bars(last.decision),
            sums(last.decision),
            ballots(last.decision.ballots),
          )
        : section("What was said", h("p", {}, "It is open: nobody has counted anything yet.")),
      section("On the log", records === null ? short(one, outcomes) : timeline(records)),
      await result(one, signal, again),
    ),
  );
  return {};
}

// Most records that are shown.
const MOST = 3000;

/** Every record of a round; null for who is not told them. */
async function all(id, signal) {
  const records = [];
  let after = null;
  try {
    do {
      const page = await ask(`../v1/rounds/${id}/records`, { limit: 1000, after }, signal);
      records.push(...page.records);
      after = page.next;
    } while (after !== null && records.length < MOST);
  } catch (error) {
    if (error instanceof Refusal && error.status === 403) return null;
    throw error;
  }
  return records;
}

/** Each record in the order in which it was appended. */
function timeline(records) {
  const list = h("ol", { class: "timeline every" });
  return [list, some(list, records, item)];
}

function item(record) {
  const who = record.by === null ? null : [text(record.by), " "];
  const owner =
    record.principal === null || record.principal === ""
      ? null
      : h("span", { class: "faint" }, "of ", text(record.principal), " ");
  const refused =
    record.refused === null
      ? null
      : h("strong", { class: "late" }, `refused: ${record.refused.code} `);
  return h(
    "li",
    { "data-topic": record.topic },
    when(record.timestamp),
    h("span", {}, who, owner, says(record)),
    h("span", {}, refused, place(record)),
    record.words === null || ["outcomes", "rounds"].includes(record.topic)
      ? null
      : h("div", { class: "said" }, prose(record.words)),
  );
}

const STATES = { OPEN: "opened", ESCALATED: "put before people", CLOSED: "closed" };

/** What a record says, in words. */
function says({ topic, says: word, confidence, words: more }) {
  switch (topic) {
    case "proposals":
      return "proposes it";
    case "responses":
      return `${words.VERDICTS[word] ?? word}, confidence ${words.number(confidence ?? 0, 2)}`;
    case "rounds":
      return `the round is ${STATES[word] ?? word}${more === null ? "" : `, settled as ${more.toLowerCase()}`}`;
    case "outcomes":
      return `it came to: ${word.toLowerCase()}, as ${words.reason(more)}`;
    case "escalations":
      return `a decision package, ${word}`;
    case "decisions":
      return words.DECIDES[word] ?? word;
    case "results":
      return `tells that it turned out ${word.toLowerCase()}`;
    case "trust-updates":
      return `what ${word.toLowerCase()} teaches, to be folded into trust`;
    default:
      return ["a dead letter: ", text(word)];
  }
}

/** What the round itself tells of it, for who is not told its records. */
function short(one, outcomes) {
  const { opening } = one;
  const opened = entry(
    opening.proposal_time,
    ["proposed by ", text(opening.proposer)],
    `proposals @ ${opening.proposal_offset}; tables read to agents ${opening.pins.agents}, ` +
      `policies ${opening.pins.policies}, trust ${opening.pins.trust}`,
  );
  const came = outcomes.flatMap((outcome) => {
    const { decision, coordinates } = outcome;
    const { judged } = coordinates;
    const human = judged.map((by) =>
      entry(by.timestamp, ["decided by ", text(by.reviewer)], `decisions @ ${by.offset}`),
    );
    const why = `${decision.status.toLowerCase()}: ${words.reason(decision.reasons[0])}`;
    const where =
      `partition ${coordinates.partition}, responses read to ${coordinates.closing_offset}` +
      `${coordinates.closed_early ? ", closed early" : ""}`;
    return judged.length > 0
      ? [...human, entry(judged.at(-1).timestamp, why, where)]
      : [entry(coordinates.closing_time, why, where)];
  });
  const settled = one.closed?.settlement;
  const turned = settled
    ? [entry(null, `it turned out ${settled.result.toLowerCase()}`, `results @ ${settled.offset}`)]
    : [];
  return h("ol", { class: "timeline" }, opened, came, turned);
}

function entry(time, what, where) {
  return h(
    "li",
    {},
    time === null ? null : when(time),
    h("span", {}, what),
    h("span", { class: "faint" }, where),
  );
}

/** The last record of a round; null if it is not known here. */
export async function found(id, signal) {
  try {
    return await ask(`../v1/rounds/${id}`, {}, signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}
