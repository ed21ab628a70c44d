// Pages that only tell: who takes part, what rounds came to, by which rules, and what was refused.

import { agent } from "./agent.js";
import { ask } from "./api.js";
import { audit } from "./audit.js";
import { h, text } from "./dom.js";
import { health } from "./health.js";
import * as operate from "./operate.js";
import { policies } from "./policies.js";
import { asked, files, filter, LIMIT, lines, onward, row, table, when } from "./tables.js";
import { section } from "./told.js";
import * as words from "./words.js";

/** What these pages are called, by their names in the URL. */
export const PAGES = {
  outcomes: "Outcomes",
  agents: "Agents",
  policies: "Policies",
  refused: "Refused",
  audit: "Audit",
  health: "Health",
};

const SHOWS = { outcomes, agents, policies, refused, audit, health };

/** One of them. */
export async function list(main, house, signal, page) {
  const given = new URLSearchParams(location.search);
  const shown = await SHOWS[page](given, house, signal);
  main.replaceChildren(h("h1", {}, PAGES[page]), ...shown.filter((part) => part !== null));
  return {};
}

async function outcomes(given, house, signal) {
  const names = ["domain", "subject_prefix", "status", "resolved_by", "proposer", "from", "to"];
  const query = asked(given, names);
  const page = await ask(
    "../v1/outcomes",
    { ...query, after: given.get("after"), limit: LIMIT },
    signal,
  );
  const rows = page.outcomes.map((one) => {
    const { decision } = one;
    return row(
      h("a", { href: `?round=${one.proposal_id}` }, one.proposal_id),
      h(
        "span",
        { class: `status ${decision.status.toLowerCase()}` },
        decision.status.toLowerCase(),
      ),
      words.reason(decision.reasons[0]),
      decision.resolved_by.toLowerCase(),
      `${words.number(decision.E)} / ${words.number(decision.C)}`,
      when(one.coordinates.judged.at(-1)?.timestamp ?? one.coordinates.closing_time),
    );
  });
  const fields = [
    ["domain", "Domain"],
    ["subject_prefix", "How the subject begins"],
    ["status", "Whatever it came to", ["APPROVED", "REJECTED", "ESCALATED"]],
    ["resolved_by", "By whomever", ["PROTOCOL", "HUMAN", "TIMEOUT"]],
    ["proposer", "Proposer"],
    ["from", "From this day on", "date"],
    ["to", "Up to this day", "date"],
  ];
  const columns = ["round", "came to", "why", "by", "for / against", "closed"];
  return [
    filter(house, "outcomes", given, fields),
    files("../v1/outcomes/export", query),
    rows.length === 0 ? h("p", {}, "There are none.") : table("Outcomes", columns, rows),
    onward(given, page.next),
  ];
}

async function agents(given, house, signal) {
  const one = given.get("agent");
  if (one !== null) return agent(one, signal);
  const query = { ...asked(given, ["domain", "status"]), after: given.get("after"), limit: LIMIT };
  const page = await ask("../v1/agents", query, signal);
  const trust = await ask("../v1/trust", { limit: 1000 }, signal);
  const scores = new Map();
  for (const score of trust.trust) {
    const mine = scores.get(score.agent_id) ?? [];
    scores.set(score.agent_id, [...mine, score]);
  }
  const rows = page.agents.map((listed) =>
    row(
      [
        h(
          "a",
          { href: `?${new URLSearchParams({ page: "agents", agent: listed.agent_id })}` },
          text(listed.agent_id),
        ),
        " ",
        h("span", { class: "faint" }, text(listed.display_name)),
      ],
      [listed.kind.toLowerCase(), " of ", text(listed.principal)],
      [
        listed.status === "ACTIVE"
          ? "active"
          : h("strong", { class: "late" }, listed.status.toLowerCase()),
        " ",
        operate.ofAgent(listed, house),
      ],
      lines([
        ...listed.domains.map((grant) => [
          text(grant.domain),
          ` ${words.number(grant.authority, 2)}`,
        ]),
        ...listed.reviews.map((one) => [
          "reviews ",
          text(one.domain),
          ` up to ${one.up_to_stakes.toLowerCase()}`,
        ]),
      ]),
      lines((scores.get(listed.agent_id) ?? []).map(record)),
    ),
  );
  const fields = [
    ["domain", "Domain"],
    ["status", "Whether they take part", ["ACTIVE", "SUSPENDED", "RETIRED"]],
  ];
  return [
    filter(house, "agents", given, fields),
    table("Agents", ["agent", "what and whose", "status", "may speak in", "track record"], rows),
    onward(given, page.next),
  ];
}

/** What a track record comes to, in words. */
function record(score) {
  const right = score.a / (score.a + score.b);
  return [
    text(score.trust_domain),
    `: a vote worth ${words.percent(score.trust)} of an expert's; ` +
      `${words.percent(right)} right, after ${score.revision} results`,
  ];
}

async function refused(given, house, signal) {
  const names = ["topic", "reason"];
  const query = { ...asked(given, names), after: given.get("after"), limit: LIMIT };
  const [page, { codes }] = await Promise.all([
    ask("../v1/dead-letters", query, signal),
    ask("../v1/dead-letters/codes", {}, signal),
  ]);
  const summary = codes.map((one) => {
    const only = new URLSearchParams({ page: "refused", reason: one.reason, topic: one.topic });
    return row(
      h("a", { href: `?${only}` }, h("code", {}, text(one.reason))),
      one.topic,
      one.count,
      when(one.first),
      when(one.last),
    );
  });
  const letters = page.dead_letters.map((letter) =>
    row(
      `${letter.topic} ${letter.partition} @ ${letter.offset}`,
      when(letter.timestamp),
      h("code", {}, text(letter.reason)),
      text(letter.detail),
    ),
  );
  const fields = [
    ["topic", "Topic, such as responses"],
    ["reason", "Code"],
  ];
  if (codes.length === 0) return [h("p", {}, "Nothing was refused that is remembered.")];
  return [
    section("By code", table("Codes", ["code", "topic", "how many", "first", "last"], summary)),
    section(
      "The latest",
      filter(house, "refused", given, fields),
      table("Refused", ["where", "appended", "code", "why"], letters),
      onward(given, page.next),
    ),
  ];
}
