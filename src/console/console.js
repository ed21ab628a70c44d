// Where humans decide: which page is shown, who is signed in, and what keys do.

import { ask, Away, foresee, Refusal } from "./api.js";
import { isOthers } from "./claims.js";
import { decision } from "./decision.js";
import { h, text } from "./dom.js";
import * as help from "./help.js";
import { doneBy } from "./keys.js";
import { list, PAGES } from "./lists.js";
import { Outbox } from "./outbox.js";
import { queue, waiting } from "./queue.js";
import { found, round } from "./round.js";
import * as settings from "./settings.js";
import { signIn, signOut } from "./signin.js";

// How soon a page is asked for again that could not be had, in milliseconds.
const AGAIN = 2000;

const main = document.querySelector("main");
const notice = document.querySelector(".notice");
const dialog = document.querySelector("dialog.help");
let session = null;
const outbox = new Outbox(document.querySelector(".outbox"), {
  undone: ({ record }) => {
    undone = record;
    house.go(`?round=${record.proposal_id}`);
  },
  judged: () => house.news(),
  me: () => house.me,
});
let undone = null;
let leaving = new AbortController();
let keys = {};

const house = {
  /** Who is signed in. */
  me: null,
  /** Whether whoever is signed in is in a role. */
  is: (role) => session?.roles.includes(role) ?? false,
  /** Has a page look for news. */
  news: () => {},
  /** Goes to another page of these. */
  go(where) {
    history.pushState(null, "", new URL(where, new URL("./", location.href)));
    // Whoever goes on begins at the top; whoever goes back is where the browser says.
    show(true);
  },
  /** Shows the page anew. */
  again: () => show(),
  /** What the title counts. */
  counted(waiting, isMore) {
    document.title = waiting > 0 ? `(${waiting}${isMore ? "+" : ""}) Quorate` : "Quorate";
  },
  /** Takes a decision, and goes on to the next. */
  decide(one, record) {
    outbox.hold(one, record);
    onward().catch(house.failed);
  },
  /** Goes to the escalation after this one, or before it, if there is one. */
  async beside(id, by) {
    const from = leaving;
    const { escalations } = await ask(
      "../v1/escalations",
      { mine: "true", limit: 100 },
      from.signal,
    );
    const other = escalations[escalations.findIndex((one) => one.proposal_id === id) + by];
    if (from === leaving && other) house.go(`?round=${other.proposal_id}`);
  },
  /** What was undone of a round, once. */
  undone(id) {
    const record = undone?.proposal_id === id ? undone : null;
    undone = null;
    return record;
  },
  failed(error) {
    if (error.name === "AbortError") return;
    if (error instanceof Refusal && error.status === 401) toSignIn().catch(house.failed);
    else if (error instanceof Refusal) tell(`${error.message} (${error.code})`);
    else if (error instanceof Away) tell("The gateway cannot be reached.");
    else throw error;
  },
};

/** The oldest that waits, is not decided here, and that nobody else is at. */
async function onward() {
  const from = leaving;
  const { escalations } = await ask("../v1/escalations", { mine: "true", limit: 100 }, from.signal);
  // Whoever has gone elsewhere by now stays there.
  if (from !== leaving) return;
  const isFree = (one) => !outbox.has(one.proposal_id) && !isOthers(one, house.me);
  const next = escalations.find(isFree);
  house.go(next ? `?round=${next.proposal_id}` : "./");
}

function tell(what) {
  notice.hidden = what === "";
  notice.replaceChildren(text(what));
}

async function show(isNew = false) {
  leaving.abort();
  leaving = new AbortController();
  keys = {};
  house.news = () => {};
  const query = new URLSearchParams(location.search);
  const [id, page] = [query.get("round"), query.get("page")];
  document.querySelectorAll("nav a").forEach((link) => {
    const is = link.dataset.page === (id ? "" : (page ?? "queue"));
    if (is) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  const now = leaving;
  try {
    const does = await pageOf(id && encodeURIComponent(id), page);
    // Whoever has gone elsewhere by now has other keys.
    if (now !== leaving) return;
    keys = does;
    tell("");
    performance.mark("ready");
    main.focus({ preventScroll: true });
    if (isNew) window.scrollTo(0, 0);
  } catch (error) {
    house.failed(error);
    // What is away may be back soon, as a gateway that has just begun to read.
    const isAway = error instanceof Away || (error instanceof Refusal && error.status >= 500);
    if (isAway && now === leaving) setTimeout(() => now === leaving && show(), AGAIN);
  }
}

async function pageOf(id, page) {
  if (id) {
    const one = await found(id, leaving.signal);
    if (one?.state === "ESCALATED") return decision(main, house, leaving.signal, one);
    if (one !== null) return round(main, leaving.signal, one);
    main.replaceChildren(
      h("h1", {}, "There is no such round here"),
      h("p", {}, "It is not known yet, or forgotten by now; `quorate show` finds it."),
      h("button", { type: "button", onclick: () => show() }, "Look again"),
    );
    return {};
  }
  return Object.hasOwn(PAGES, page ?? "")
    ? list(main, house, leaving.signal, page)
    : queue(main, house, leaving.signal);
}

const toSignIn = () => signIn(main, tell, start);

/** Asks for what will be shown while it is not known yet to whom. */
function lookAhead() {
  const given = new URLSearchParams(location.search);
  const id = given.get("round") && encodeURIComponent(given.get("round"));
  if (id) for (const of of ["rounds", "escalations"]) foresee(`../v1/${of}/${id}`);
  else if (!given.has("page")) foresee(...waiting(location.search));
}

async function start() {
  lookAhead();
  [session] = await Promise.all([ask("session"), settings.load()]);
  house.me = session.subject;
  const leave = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => signOut(toSignIn).catch(house.failed),
    },
    "Sign out",
  );
  document.querySelector(".who").replaceChildren(text(session.subject), " ", leave);
  outbox.restore(session.subject);
  await show();
}

function pressed(event) {
  const types = event.target.closest("input, textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (types && event.key !== "Escape") return;
  if (types) types.blur();
  const everywhere = {
    help: () => help.show(dialog),
    queue: () => house.go("./"),
    undo: () => outbox.undo(),
  };
  const named = doneBy(event.key);
  let does = everywhere[named] ?? keys[named];
  if (event.key === "Enter" && !event.target.closest("button, a, summary"))
    does = keys.enter ?? keys.open;
  if (/^[1-9]$/.test(event.key)) does = () => keys.digit?.(Number(event.key));
  if (!does) return;
  event.preventDefault();
  does();
}

for (const [page, name] of [["queue", "Needs you"], ...Object.entries(PAGES)]) {
  const where = page === "queue" ? "./" : `?page=${page}`;
  const go = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    house.go(where);
  };
  const link = h("a", { href: where, "data-page": page, onclick: go }, name);
  document.querySelector("nav").append(link);
}

document.addEventListener("keydown", pressed);
window.addEventListener("popstate", () => show());
window.addEventListener("pagehide", () => outbox.leave());
document.querySelector(".brand").addEventListener("click", (event) => {
  event.preventDefault();
  house.go("./");
});
start().catch(house.failed);
