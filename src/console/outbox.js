// What a person has decided and is not yet sent: held for a moment in which it can be undone, and kept
// for as long as it could not be sent.

import { ask, Refusal, say } from "./api.js";
import { changes, standing } from "./changes.js";
import { h, text } from "./dom.js";
import { hint } from "./help.js";

/** How long a decision can be undone, in milliseconds. */
const HELD = 5000;
/** How often is asked what became of one that lies on the log. */
const AGAIN = 2000;
const SAYS = { APPROVE: "Approve", REJECT: "Reject", SEND_BACK: "Send back" };
const STATES = {
  sending: ": sending",
  waiting: ": on the log, and not judged yet",
};

/** Where they are kept for when this tab shows these pages again. */
const STORED = "quorate.outbox";
const LEFT = "this page was left before it was known to be there";

/**
 * Decisions on their way, shown in `place`; `events`: what to do once one is `undone` or `judged`, and
 * `me`, who is signed in.
 */
export class Outbox {
  #place;
  #events;
  #items = [];

  constructor(place, events) {
    this.#place = place;
    this.#events = events;
  }

  /** Takes a decision on `one`. */
  hold(one, record) {
    const item = this.#take(one, record);
    item.until = Date.now() + HELD;
    item.sends = setTimeout(() => this.#send(item), HELD);
    this.#is(item, "held");
  }

  /** Shows again what `me` had decided when this tab left these pages, and was not known to be there. */
  restore(me) {
    const mine = stored().filter(
      ({ record }) => record.reviewer === me && !this.has(record.proposal_id),
    );
    for (const { one, record } of mine) {
      const item = this.#take(one, record);
      this.#is(item, "kept", LEFT);
      isJudged(record)
        .then((is) => is && item.why === LEFT && this.#done(item, "decided"))
        .catch(() => {});
    }
  }

  #take(one, record) {
    const item = { one, record, line: h("li") };
    this.#items.push(item);
    this.#place.querySelector("ul").append(item.line);
    this.#place.hidden = false;
    return item;
  }

  /** Whether there is something about this round here. */
  has = (id) => this.#items.some((item) => item.record.proposal_id === id);

  /** Takes the last one back that is not yet sent. */
  undo() {
    const item = this.#items.filter(({ state }) => state === "held").pop();
    if (item) this.#back(item);
  }

  /** The page goes away: what is held goes out, since a person has decided it. */
  leave() {
    for (const item of this.#items.filter(({ state }) => state === "held")) {
      this.#stop(item);
      // Nobody is left to be told how it went; the round says so to whoever asks.
      say("../v1/decisions", item.record, { keepalive: true }).catch(() => {});
    }
  }

  #back(item) {
    this.#drop(item);
    this.#events.undone(item);
  }

  #stop(item) {
    clearInterval(item.ticks);
    clearTimeout(item.sends);
    item.asks?.abort();
  }

  #drop(item) {
    this.#stop(item);
    this.#items = this.#items.filter((other) => other !== item);
    item.line.remove();
    this.#place.hidden = this.#items.length === 0;
    this.#keep();
  }

  #done(item, state) {
    this.#is(item, "decided", state);
    setTimeout(() => this.#drop(item), HELD);
  }

  /** Keeps what is not known to be there; that of others stays as it is. */
  #keep() {
    const open = this.#items.filter(({ state }) => !["decided", "refused"].includes(state));
    const others = stored().filter(({ record }) => record.reviewer !== this.#events.me());
    const mine = open.map(({ one, record }) => ({ one: label(one), record }));
    try {
      sessionStorage.setItem(STORED, JSON.stringify([...others, ...mine]));
    } catch {
      // Nothing is kept here: it is all in the page.
    }
  }

  async #send(item) {
    this.#stop(item);
    item.asks = new AbortController();
    this.#is(item, "sending");
    try {
      await this.#sent(item);
      this.#done(item, await standsAt(item).catch(() => "decided"));
    } catch (error) {
      if (error.name === "AbortError") return;
      const state = isFinal(error) ? "refused" : "kept";
      this.#is(item, state, why(error));
      const what = await changed(item, error).catch(() => []);
      if (what.length > 0 && item.state === state)
        this.#is(item, state, `${why(error)}: ${what.join("; ")}.`);
    }
    this.#events.judged(item);
  }

  async #sent(item) {
    try {
      const told = await say("../v1/decisions?wait=20", item.record);
      if (told.state === "admitted") return;
      this.#is(item, "waiting");
      await judged(item.record, told, item.asks.signal);
    } catch (error) {
      // One that was there already when it was sent again is the one that was judged.
      const isThere =
        REPEATED.includes(error.code) && (await isJudged(item.record).catch(() => false));
      if (!isThere) throw error;
    }
  }

  /** Says where one stands, in its own line. */
  #is(item, state, why = "") {
    item.state = state;
    item.why = why;
    this.#keep();
    const { action } = item.one.content.proposal;
    const button = (label, does) => h("button", { type: "button", onclick: does }, label);
    const left = h("span", { "aria-hidden": "true" });
    const rest =
      {
        decided: () => [`: ${why}`],
        held: () => [
          ": not yet sent",
          left,
          " ",
          button(["Undo ", hint("undo")], () => this.#back(item)),
        ],
        kept: () => [
          `: not sent, and kept here: ${why} `,
          button("Send again", () => this.#send(item)),
          button("Give it up", () => this.#drop(item)),
        ],
        refused: () => [
          `: refused: ${why} `,
          button("Show the round", () => this.#back(item)),
          button("Dismiss", () => this.#drop(item)),
        ],
      }[state] ?? (() => [STATES[state]]);
    item.line.className = ["kept", "refused"].includes(state) ? "late" : "";
    item.line.replaceChildren(
      SAYS[item.record.verdict],
      " ",
      text(action.type),
      " ",
      text(action.subject),
      ...rest(),
    );
    if (state !== "held") return;
    const count = () => {
      left.textContent = `, ${Math.max(1, Math.ceil((item.until - Date.now()) / 1000))} s`;
    };
    count();
    item.ticks = setInterval(count, 250);
  }
}

/** What is kept for this tab. */
function stored() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORED));
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

/** As much of an escalation as is shown of it. */
const label = ({ proposal_id, approvals_needed, content }) => ({
  proposal_id,
  approvals_needed,
  content: { proposal: { action: { ...content.proposal.action, parameters: [] } } },
});

/** What is said of a decision that is there twice. */
const REPEATED = ["already_decided", "already_approved"];

/** Whether a decision is among those that were judged on its round. */
async function isJudged({ proposal_id: id, decision_id: decision }, signal) {
  const { outcomes } = await ask(`../v1/rounds/${id}/outcomes`, {}, signal);
  const byPeople = outcomes.flatMap(({ coordinates }) => coordinates.judged);
  const { approvals } = await ask(`../v1/escalations/${id}`, {}, signal);
  return [...byPeople, ...approvals].some((judged) => judged.decision_id === decision);
}

/** What came of an admitted one: the last word, or an approval among several. */
async function standsAt({ one, record }) {
  if (one.approvals_needed < 2 || record.verdict !== "APPROVE") return "decided";
  const round = await ask(`../v1/rounds/${record.proposal_id}`);
  if (round.state === "CLOSED") return "decided";
  return `noted, ${round.closed.approvals.length} of ${one.approvals_needed} approvals`;
}

/** What differs from what was seen, where that is why it was refused. */
async function changed({ one, record }, error) {
  if (error.code !== "package_mismatch") return [];
  const round = await ask(`../v1/rounds/${record.proposal_id}`);
  return changes(one, standing(await ask(`../v1/escalations/${record.proposal_id}`), round));
}

/** Waits until one that lies on the log is judged; a refusal if it was refused. */
async function judged(record, { partition, offset }, signal) {
  for (;;) {
    if (await isJudged(record, signal)) return;
    const asked = { topic: "decisions", limit: 100 };
    const { dead_letters: letters } = await ask("../v1/dead-letters", asked, signal);
    const letter = letters.find((one) => one.partition === partition && one.offset === offset);
    if (letter) throw new Refusal(422, { code: letter.reason, detail: letter.detail });
    await new Promise((done) => setTimeout(done, AGAIN));
    signal.throwIfAborted();
  }
}

/** Whether what was refused stays refused. */
const isFinal = (error) =>
  error instanceof Refusal &&
  error.status < 500 &&
  ![401, 429].includes(error.status) &&
  error.code !== "not_yourself";

function why(error) {
  if (!(error instanceof Refusal)) return "the gateway cannot be reached";
  if (error.status === 401) return "you are signed out; sign in in another tab";
  if (error.code === "not_yourself") return "somebody else is signed in by now";
  return `${error.message} (${error.code})`;
}
