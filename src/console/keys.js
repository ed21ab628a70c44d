// Which key does what: as the house has it, unless somebody has changed it for this browser.

const STORED = "quorate.keys";

/** What keys do, in words. Digits are reasons, and Enter opens and decides, whatever stands here. */
export const DOES = {
  next: "the next",
  previous: "the previous",
  claim: "claim it, or release it",
  approve: "approve",
  reject: "reject",
  send_back: "send back",
  undo: "undo, within five seconds",
  details: "fold the details, or show them",
  queue: "to the queue",
  help: "these",
};

const USUAL = {
  next: "j",
  previous: "k",
  claim: "c",
  approve: "a",
  reject: "r",
  send_back: "b",
  undo: "u",
  details: "i",
  queue: "q",
  help: "?",
};

let house = USUAL;
let own = {};

/** Takes the house's, and what this browser has besides. */
export function take(keys) {
  house = { ...USUAL, ...keys };
  own = {};
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(STORED)) ?? {};
  } catch {
    // Nothing is kept here, or not by these pages.
  }
  own = Object.fromEntries(Object.entries(stored).filter(([does, key]) => isKey(does, key)));
  // Kept when the house had others.
  if (new Set(Object.keys(DOES).map(keyOf)).size < Object.keys(DOES).length) own = {};
}

/** The key that does something. */
export const keyOf = (does) => own[does] ?? house[does];

/** What a key does; undefined: nothing. */
export const doneBy = (key) => Object.keys(DOES).find((does) => keyOf(does) === key);

const isKey = (does, key) =>
  Object.hasOwn(DOES, does) && typeof key === "string" && /^[^\s\p{C}\d]$/u.test(key);

/** Why a key cannot do something; empty: it can. */
function flaw(does, key) {
  if (!isKey(does, key)) return "give one character that can be seen and is no digit";
  const other = doneBy(key);
  return other === undefined || other === does ? "" : `${key} is for: ${DOES[other]}`;
}

/** Has a key do something from now on, in this browser; why not, or empty. */
export function change(does, key) {
  const wrong = flaw(does, key);
  if (wrong !== "") return wrong;
  own = { ...own, [does]: key };
  if (key === house[does]) delete own[does];
  return keep() ? "" : "it holds until this page is left: the browser keeps nothing";
}

/** Goes back to the house's. */
export function forget() {
  own = {};
  keep();
}

function keep() {
  try {
    localStorage.setItem(STORED, JSON.stringify(own));
    return true;
  } catch {
    return false;
  }
}
