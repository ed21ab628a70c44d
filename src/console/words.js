// The protocol's symbols in words, and numbers and times as people read them.

export const REASONS = {
  INPUT_LOST: "records it may have rested on are gone",
  SUSPENDED: "a suspended agent would have tipped it",
  HIGH_STAKES: "the stakes are too high for agents alone",
  REQUIRED_MISSING: "somebody who must be heard was not",
  QUORUM_NOT_MET: "too few spoke",
  UNPROVEN: "those who spoke have too little record",
  LOW_CONFIDENCE: "they are not sure enough",
  VETO: "somebody who may bar it does",
  SHADOW: "this policy only tries out what agents would decide",
  MARGIN_MET: "one side is clearly ahead",
  TIE: "both sides weigh the same",
  MARGIN_NOT_MET: "neither side is far enough ahead",
  HUMAN_DECISION: "a person decided",
  SENT_BACK: "a person sent it back",
  DECISION_TIMEOUT: "nobody decided in time",
};

export const UNCOUNTED = {
  observer: "has no vote in this domain",
  zero_weight: "weighs nothing",
  suspended: "is suspended",
};

export const AFTERWARDS = {
  ESCALATE_AGAIN: "then it is escalated again",
  REJECT: "then it is rejected",
};

export const VERDICTS = { ENDORSE: "endorses", CHALLENGE: "challenges", ABSTAIN: "abstains" };

export const DECIDES = { APPROVE: "approves", REJECT: "rejects", SEND_BACK: "sends back" };

/** What a reviewer may give as the reason, by verdict; any other code can be written. */
export const CODES = {
  APPROVE: ["evidence_sufficient", "confirmed_with_subject", "known_pattern"],
  REJECT: ["evidence_insufficient", "subject_disputes", "rules_forbid"],
  SEND_BACK: ["ask_others", "more_evidence", "smaller_action"],
};

/** How often something was. */
export const times = (count) => (count === 1 ? "once" : `${count} times`);

export const reason = (code) => REASONS[code] ?? code;

export const percent = (share) => `${Math.round(share * 100)} %`;

export const number = (value, places = 3) => value.toFixed(places);

const STEPS = [
  [86400e3, "d"],
  [3600e3, "h"],
  [60e3, "min"],
  [1e3, "s"],
];

/** How long something takes, in the largest two units. */
export function span(milliseconds) {
  let left = Math.max(0, milliseconds);
  const parts = [];
  for (const [size, unit] of STEPS) {
    const count = Math.floor(left / size);
    if (count > 0 || (parts.length === 0 && size === 1e3)) parts.push(`${count} ${unit}`);
    left -= count * size;
    if (parts.length === 2 || (parts.length === 1 && count > 9)) break;
  }
  return parts.join(" ");
}

/** When something is, for people and for machines. */
export const moment = (milliseconds) => new Date(milliseconds).toLocaleString();

/** What a track record comes to, by its last score. */
export const record = ({ a, b, revision }) =>
  `${percent(a / (a + b))} right on ${revision} ${revision === 1 ? "result" : "results"}`;
