// One escalation: what it would do, what was said, and what a person says to it.

import { ask, askAgain, Away, Refusal } from "./api.js";
import { others, records, refused } from "./background.js";
import { bars, confidences } from "./bars.js";
import { Ballot } from "./ballot.js";
import { changes, standing } from "./changes.js";
import * as claims from "./claims.js";
import { h, prose, text } from "./dom.js";
import * as settings from "./settings.js";
import { ballots, folded, section, some, sums } from "./told.js";
import * as words from "./words.js";

// How often is looked whether the round has moved on.
const AGAIN = 5000;

/** The page of a round, whose last record is `round`. */
export async function decision(main, house, signal, round) {
  const id = encodeURIComponent(round.proposal_id);
  const one = standing(await ask(`../v1/escalations/${id}`, {}, signal), round);
  const { proposal } = one.content;
  const said = h("div", { class: "said" });
  const { may_decide: bar } = one;
  // Who has approved it may still reject it, as long as others must approve it.
  const isBarred = !bar.allowed && bar.code !== "already_approved";
  let hidden = settings.hidesLean(proposal.domain) && !isBarred;
  const ballot = new Ballot(one, house, () => {
    if (!hidden) return;
    hidden = false;
    tell(page, false);
  });
  const calm = isBarred ? house : staying(house, ballot);
  const page = { main, house: calm, signal, one, pattern: round.opening.pattern, said };
  tell(page, hidden);
  const claimed = h("p", { class: "claimed", role: "status" });
  if (!bar.allowed) ballot.form.prepend(h("p", {}, barred(bar)));
  const undone = house.undone(one.proposal_id);
  if (undone) ballot.restore(undone);
  main.replaceChildren(
    h(
      "div",
      { class: "decision" },
      h(
        "article",
        { "data-round": one.proposal_id, "aria-label": "What is to be decided" },
        executed(proposal),
        facts(one),
        claimed,
        section(
          "Why it came to you",
          h(
            "ul",
            { class: "reasons" },
            one.content.decision.reasons.map((code) =>
              h("li", {}, words.reason(code), " ", h("code", {}, code)),
            ),
          ),
        ),
        said,
        others(one, calm, signal),
      ),
      isBarred ? h("section", { class: "yours" }, h("p", {}, barred(bar))) : ballot.form,
    ),
  );
  follow(page, ballot);
  const claim = claims.follow(one, claimed, calm, signal);
  const beside = (by) => () => house.beside(one.proposal_id, by).catch(house.failed);
  return {
    ...(isBarred ? {} : ballot.keys),
    claim,
    details: () => fold(main),
    next: beside(1),
    previous: beside(-1),
  };
}

/** The house as it is to a page of which nobody is taken away from what is half written. */
function staying(house, ballot) {
  const failed = (error) => {
    const isOut = error instanceof Refusal && error.status === 401;
    if (isOut) ballot.alone("You are signed out. Sign in in another tab: what is here stays.");
    else if (error instanceof Away)
      ballot.alone("The gateway cannot be reached. What is here stays.");
    else house.failed(error);
  };
  return Object.assign(Object.create(house), { failed });
}

/** Why somebody may not decide it. */
const barred = ({ code, detail }) => [`You may not decide this: ${detail}. `, h("code", {}, code)];

/** What was said, and what it comes to; `hidden`: without what leans to a side. */
function tell({ house, signal, one, pattern, said }, hidden) {
  const { decision, silent, confidences: sure } = one.content;
  const replaced = new Map(
    one.coordinates.superseded.map((by) => [by.agent_id, by.response_digests.length + by.further]),
  );
  const lean = hidden
    ? section(
        "What was said",
        h("p", { class: "faint" }, "What it comes to is shown once you have chosen."),
      )
    : section(
        "What was said",
        bars(decision),
        sums(decision),
        confidences(sure),
        pivotal(decision),
      );
  const quiet = h("ul", { class: "names" });
  const spoke = h("div");
  said.replaceChildren(
    lean,
    folded(
      "Ballots",
      decision.ballots.length,
      true,
      ballots(decision.ballots, { replaced, blind: hidden }),
    ),
    folded("In their words", null, true, spoke, spoken(spoke, one, hidden)),
    silent.length > 0
      ? folded(
          "Silent",
          silent.length,
          silent.length <= 10,
          quiet,
          some(quiet, silent, (name) => h("li", {}, text(name))) ?? "",
        )
      : "",
  );
  if (hidden) return;
  said.append(refused(one, house, signal));
  records(said, pattern, signal).catch(house.failed);
}

/** Puts statements into `place`, the heaviest first, or by name; what shows more of them. */
function spoken(place, one, hidden) {
  const { proposal, decision, statements } = one.content;
  const verdicts = new Map(decision.ballots.map((ballot) => [ballot.agent_id, ballot.verdict]));
  if (proposal.summary) place.append(quote(proposal.proposer, "proposes", proposal.summary));
  const all = statements.filter(
    (said) => !said.inlined || said.reasoning !== "" || said.evidence.length > 0,
  );
  if (hidden) all.sort((a, b) => (a.agent_id < b.agent_id ? -1 : 1));
  if (all.length === 0 && !proposal.summary) place.append(h("p", {}, "Nobody gave reasons."));
  return some(place, all, (said) => statement(said, verdicts)) ?? "";
}

/** Looks again and again whether the round has moved on. */
function follow({ house, signal, one }, ballot) {
  let before = one;
  const id = encodeURIComponent(one.proposal_id);
  // Of many ballots a round is long, and mostly the same as before.
  let had = null;
  const look = async () => {
    const { body: round, tag } = await askAgain(`../v1/rounds/${id}`, had, signal);
    ballot.alone("");
    if (round === null) return;
    if (round.state === "CLOSED") {
      const { outcomes } = await ask(`../v1/rounds/${id}/outcomes`, {}, signal);
      clearInterval(timer);
      ballot.over(outcomes.at(-1));
      return;
    }
    const { tier, approvals, package_digest: digest } = round.closed;
    const isSame =
      tier === before.tier &&
      digest === before.package_digest &&
      approvals.length === before.approvals.length;
    if (isSame) {
      had = tag;
      return;
    }
    const now = standing(await ask(`../v1/escalations/${id}`, {}, signal), round);
    const what = changes(before, now);
    if (now.package_digest !== one.package_digest) ballot.changed(what);
    else ballot.moved(now, what);
    before = now;
    // What was not told yet is asked for once more.
    had = tag;
  };
  const timer = setInterval(() => look().catch(house.failed), AGAIN);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** Folds every part that can be, or unfolds all of them. */
function fold(main) {
  const parts = [...main.querySelectorAll("details.part")];
  const isOpen = parts.some((part) => part.open);
  for (const part of parts) part.open = !isOpen;
}

/** The action as it will be executed, of its fields alone; and where the house itself shows more. */
function executed({ action, domain }) {
  const link = settings.linkOf(domain, action.subject);
  return h(
    "header",
    { class: "action" },
    h("h1", {}, text(action.type), " ", text(action.subject)),
    h(
      "dl",
      {},
      action.parameters.map((p) => [h("dt", {}, text(p.key)), h("dd", {}, text(p.value))]),
    ),
    link === null
      ? null
      : h(
          "p",
          {},
          h(
            "a",
            { class: "file", href: link, target: "_blank", rel: "noopener noreferrer" },
            `Its file at ${new URL(link).host}`,
          ),
        ),
  );
}

function facts(one) {
  const { proposal, decision } = one.content;
  const left = one.due - Date.now();
  const after = words.AFTERWARDS[one.on_decision_timeout];
  return h(
    "p",
    { class: "facts" },
    h("span", { class: `stakes ${decision.stakes.toLowerCase()}` }, decision.stakes.toLowerCase()),
    h("span", {}, text(proposal.domain)),
    h("span", {}, "proposed by ", text(proposal.proposer)),
    h(
      "span",
      { class: left > 0 ? "due" : "due late", title: words.moment(one.due) },
      left > 0 ? `due in ${words.span(left)}, ${after}` : `overdue by ${words.span(-left)}`,
    ),
    one.tier > 1 ? h("span", {}, `tier ${one.tier}: nobody decided in time before`) : null,
  );
}

function pivotal(decision) {
  const tip = decision.influence.filter((one) => one.status !== decision.status);
  if (tip.length === 0) return h("p", {}, "Nobody's ballot alone would have turned it.");
  const list = h("ul", { class: "pivotal" });
  const item = (one) =>
    h("li", {}, "Without ", text(one.agent_id), `: ${one.status.toLowerCase()}`);
  return [list, some(list, tip, item)];
}

function quote(who, says, said) {
  return h("blockquote", {}, h("footer", {}, text(who), ` ${says}`), prose(said));
}

function statement(said, verdicts) {
  const says = words.VERDICTS[verdicts.get(said.agent_id)] ?? "says";
  if (!said.inlined) return quote(said.agent_id, says, "(too long to be told here)");
  const block = quote(said.agent_id, says, said.reasoning);
  if (said.evidence.length > 0) {
    block.append(
      h(
        "ul",
        { class: "evidence" },
        said.evidence.map((piece) => h("li", {}, prose(piece))),
      ),
    );
  }
  return block;
}
