// The rules: those in force with what they reach today, how those did that are only tried out, and what
// was in force before.

import { ask } from "./api.js";
import { h, text } from "./dom.js";
import { ofPolicy } from "./operate.js";
import { digest, onward, row, share, table, when } from "./tables.js";
import { section } from "./told.js";
import * as words from "./words.js";

/** The page. */
export async function policies(given, house, signal) {
  const [page, found, tried, before] = await Promise.all([
    ask("../v1/policies", { after: given.get("after"), limit: 100 }, signal),
    ask("../v1/policies/findings", {}, signal),
    ask("../v1/policies/shadow", {}, signal),
    ask("../v1/policies/history", { limit: 50 }, signal),
  ]);
  const findings = new Map(found.policies.map((one) => [one.pattern, one.findings]));
  return [
    section(
      "In force",
      page.policies.map((policy) => inForce(policy, findings.get(policy.pattern) ?? [], house)),
      onward(given, page.next),
    ),
    tried.policies.length === 0 ? null : section("Only tried out", shadow(tried.policies)),
    section("Written, the latest first", history(before.versions)),
  ];
}

function inForce(policy, findings, house) {
  const newcomers = findings.find((one) => one.code === "newcomers");
  const others = findings.filter((one) => one !== newcomers);
  return h(
    "details",
    { class: "policy" },
    h(
      "summary",
      {},
      h("strong", {}, text(policy.pattern)),
      ` ${policy.mode}, `,
      rule(policy),
      newcomers ? h("div", { class: "faint" }, text(newcomers.text)) : null,
    ),
    ofPolicy(policy, house),
    h(
      "ul",
      {},
      others.map((one) =>
        h(
          "li",
          {},
          h("strong", { class: one.severity === "note" ? null : "late" }, `${one.severity}: `),
          text(one.text),
        ),
      ),
    ),
    h(
      "dl",
      {},
      Object.entries(policy).map(([key, value]) => [
        h("dt", {}, key),
        h("dd", {}, text(typeof value === "object" ? JSON.stringify(value) : value)),
      ]),
    ),
  );
}

const rule = (policy) =>
  policy.quorum_margin === null
    ? `wanted error ${words.percent(policy.target_error)}`
    : `margin ${words.number(policy.quorum_margin)}`;

function shadow(tried) {
  const rows = tried.map((one) =>
    row(
      text(one.pattern),
      one.rounds,
      `${one.would_approve} approved, ${one.would_reject} rejected, ${one.would_escalate} left to people`,
      share(one.people_disagreed),
      share(one.wrong),
    ),
  );
  const columns = [
    "policy",
    "rounds",
    "agents alone would have",
    "people decided otherwise",
    "it would have been wrong",
  ];
  return table("Policies that are only tried out", columns, rows);
}

function history(versions) {
  const rows = versions.map(({ offset, timestamp, policy }) =>
    row(
      when(timestamp),
      text(policy.pattern),
      policy.mode,
      rule(policy),
      digest(policy.digest),
      offset,
    ),
  );
  return table("Policies as written", ["when", "policy", "mode", "rule", "digest", "offset"], rows);
}
