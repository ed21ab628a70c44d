// What has changed of an escalation since somebody looked at it, in words.

import * as words from "./words.js";

/** An escalation as it stands: its package, with the approvals that the round has by now. */
export const standing = (one, round) => ({
  ...one,
  approvals: round.closed?.approvals ?? one.approvals,
});

/** What differs, a phrase each; none: nothing. */
export function changes(before, now) {
  const found = [];
  const had = new Set(before.approvals.map(({ reviewer }) => reviewer));
  const names = now.approvals.map(({ reviewer }) => reviewer).filter((name) => !had.has(name));
  if (names.length > 0)
    found.push(
      `approved by ${names.join(", ")}: ${now.approvals.length} of ${now.approvals_needed}`,
    );
  if (now.tier !== before.tier)
    found.push(`nobody decided in time: it is in tier ${now.tier}, due ${words.moment(now.due)}`);
  if (now.package_digest !== before.package_digest) found.push(...content(before, now));
  return found;
}

function content({ content: before }, { content: now }) {
  const differs = (of) => JSON.stringify(of(before)) !== JSON.stringify(of(now));
  const found = [];
  if (differs((one) => one.proposal)) found.push("what is proposed is another");
  if (differs((one) => one.decision.reasons)) found.push("why it was escalated is another");
  if (differs((one) => one.decision.ballots))
    found.push(
      `ballots are others: ${now.decision.ballots.length}, not ${before.decision.ballots.length}`,
    );
  if (differs((one) => one.statements)) found.push("what was said is another");
  return found.length > 0 ? found : ["the digest of what you saw is another"];
}
