// What people did: who, when, what, on which package, and where it lies.

import { ask } from "./api.js";
import { h, text } from "./dom.js";
import { asked, digest, files, filter, LIMIT, onward, place, row, table, when } from "./tables.js";
import * as words from "./words.js";

const KINDS = ["decision", "claim", "result", "suspension", "agent", "policy"];
const OF_ROUNDS = ["decision", "claim", "result"];
const SAYS = {
  decision: words.DECIDES,
  result: { RIGHT: "says: right", WRONG: "says: wrong", UNKNOWN: "says: unknown" },
  claim: { CLAIMED: "claims it", RELEASED: "gives it up" },
  suspension: { agent: "suspends an agent", pattern: "suspends a policy" },
};

/** The page. */
export async function audit(given, house, signal) {
  const names = ["by", "kind", "from", "to"];
  const query = asked(given, names);
  const page = await ask(
    "../v1/audit",
    { ...query, after: given.get("after"), limit: LIMIT },
    signal,
  );
  const rows = page.actions.map((one) =>
    row(
      when(one.timestamp),
      one.by === null ? h("span", { class: "faint" }, "an operator") : text(one.by),
      did(one),
      about(one),
      [
        one.code === "" ? null : h("code", {}, text(one.code)),
        " ",
        one.words === "" ? null : text(one.words),
        one.refused === null ? null : h("strong", { class: "late" }, ` refused: ${one.refused}`),
      ],
      [place(one), one.digest === null ? null : [" ", digest(one.digest)]],
    ),
  );
  const fields = [
    ["by", "Who"],
    ["kind", "Whatever was done", KINDS],
    ["from", "From this day on", "date"],
    ["to", "Up to this day", "date"],
  ];
  const columns = ["when", "who", "did", "about", "why", "where, and on which package or policy"];
  return [
    filter(house, "audit", given, fields),
    files("../v1/audit/export", query),
    page.lacks === null ? null : h("p", {}, `Claims, or the latest of them, are missing: ${page.lacks}.`),
    rows.length === 0
      ? h("p", {}, "Nothing of that is remembered.")
      : table("Audit", columns, rows),
    onward(given, page.next),
  ];
}

function did({ kind, says }) {
  const known = SAYS[kind]?.[says];
  return known ?? `wrote of ${kind === "agent" ? "an agent" : "a policy"}: ${says.toLowerCase()}`;
}

function about({ kind, about: what, says }) {
  if (OF_ROUNDS.includes(kind)) return h("a", { href: `?round=${what}` }, what);
  const isAgent = kind === "agent" || says === "agent";
  const query = new URLSearchParams({ page: "agents", agent: what });
  return isAgent ? h("a", { href: `?${query}` }, text(what)) : text(what);
}
