// One agent: what it may speak in and decide, whether it takes part, and its track record.

import { ask } from "./api.js";
import { h, text } from "./dom.js";
import { calibration, trust } from "./plots.js";
import { lines, when } from "./tables.js";
import { section } from "./told.js";
import * as words from "./words.js";

/** The page of an agent. */
export async function agent(id, signal) {
  const where = `../v1/agents/${encodeURIComponent(id)}`;
  const [one, track] = await Promise.all([
    ask(where, {}, signal),
    ask(`${where}/trust`, { limit: 1000 }, signal),
  ]);
  const standing =
    one.status === "ACTIVE"
      ? "takes part"
      : h("strong", { class: "late" }, one.status.toLowerCase());
  return [
    h(
      "p",
      { class: "facts", "data-agent": one.agent_id },
      h("strong", {}, text(one.agent_id)),
      text(one.display_name),
      h("span", {}, one.kind.toLowerCase(), " of ", text(one.principal)),
      one.model_family === null ? null : h("span", {}, "built on ", text(one.model_family)),
      h(
        "span",
        {},
        standing,
        track.standing_since === null ? null : [" since ", when(track.standing_since)],
      ),
    ),
    section("May speak in, and decide", may(one)),
    ...track.domains.flatMap((domain) => [trust(domain), calibration(domain)]),
    track.domains.length === 0
      ? section("Track record", h("p", {}, "No result has taught anything about it yet."))
      : null,
  ];
}

/** What somebody may speak in, and decide. */
export function may(one) {
  const grants = one.domains.map((grant) => [
    text(grant.domain),
    ` with authority ${words.number(grant.authority, 2)}`,
    grant.prior === null
      ? null
      : `, from ${grant.prior.right} right and ${grant.prior.wrong} wrong: `,
    grant.prior === null ? null : text(grant.prior.source),
  ]);
  const reviews = one.reviews.map((review) => [
    "reviews ",
    text(review.domain),
    ` up to ${review.up_to_stakes.toLowerCase()}`,
  ]);
  const all = [...grants, ...reviews];
  return all.length === 0 ? h("p", {}, "It has no vote, and decides nothing.") : lines(all);
}
