// What a person says to an escalation: a verdict, a reason by its code, and a rationale.

import { newId } from "./api.js";
import { h, text } from "./dom.js";
import { hint } from "./help.js";
import * as settings from "./settings.js";
import * as words from "./words.js";

const LABELS = { APPROVE: "Approve", REJECT: "Reject", SEND_BACK: "Send back" };
const DOES = { APPROVE: "approve", REJECT: "reject", SEND_BACK: "send_back" };

/** A decision in the making, on what is shown of `one`. */
export class Ballot {
  #one;
  #house;
  #verdict = null;
  #choices = h("div", { class: "choices", role: "radiogroup", "aria-label": "Your decision" });
  #codes = h("div", { class: "choices", role: "radiogroup", "aria-label": "Reason" });
  #rationale = h("textarea", {
    rows: "3",
    maxlength: "8000",
    "aria-label": "Rationale",
    placeholder: "Why, in your words; it is kept with the decision",
  });
  #send = h("button", { type: "submit", disabled: true }, "Decide ", h("kbd", {}, "Enter"));
  #approvals = h("p", { class: "approvals" });
  #news = h("p", { class: "news", role: "status" });

  /** `chosen`: what to do once a verdict is. */
  constructor(one, house, chosen = () => {}) {
    this.#one = one;
    this.#house = house;
    this.chosen = chosen;
    for (const [verdict, label] of Object.entries(LABELS)) {
      const choose = () => this.#choose(verdict);
      this.#choices.append(choice(label, hint(DOES[verdict]), verdict, choose));
    }
    const submit = (event) => {
      event.preventDefault();
      this.#decide();
    };
    this.form = h(
      "form",
      { class: "yours", "aria-label": "Your decision", onsubmit: submit },
      h("h2", {}, "Your decision"),
      this.#approvals,
      this.#choices,
      this.#codes,
      this.#rationale,
      this.#send,
      this.#news,
    );
    this.#approved(one);
    this.keys = {
      approve: () => this.#choose("APPROVE"),
      reject: () => this.#choose("REJECT"),
      send_back: () => this.#choose("SEND_BACK"),
      digit: (digit) => this.#code(digit - 1),
      enter: () => this.#decide(),
    };
  }

  /** Shows what was said before it was undone. */
  restore({ verdict, reason_code: code, rationale }) {
    this.#choose(verdict);
    this.#code(this.#codesOf(verdict).indexOf(code));
    this.#rationale.value = rationale;
  }

  /** Told that nothing can be asked, and why: what is written here stays; empty: it can again. */
  alone(why) {
    const told = this.#news.querySelector(".alone");
    if (told?.textContent === why) return;
    told?.remove();
    // Beside what has changed meanwhile, which still has.
    if (why !== "") this.#news.prepend(h("span", { class: "alone late" }, why), " ");
  }

  /** Told that others have approved it, or that it is in another tier: what was shown still stands. */
  moved(now, what) {
    this.#approved(now);
    this.#news.replaceChildren(`Meanwhile: ${what.join("; ")}.`);
  }

  /** Told that the package is another one by now: nothing is said to what was shown. */
  changed(what) {
    this.#close(
      `This has changed since you opened it: ${what.join("; ")}. `,
      h("button", { type: "button", onclick: () => this.#house.again() }, "Show it"),
    );
  }

  /** Told that it is decided: nobody can say anything to it any more. */
  over(outcome) {
    const { decision, coordinates } = outcome;
    const by = coordinates.judged.at(-1)?.reviewer;
    this.#close(
      `It was ${decision.status.toLowerCase()} meanwhile: `,
      by === undefined ? words.reason(decision.reasons[0]) : ["by ", text(by)],
      ". ",
      h("button", { type: "button", onclick: () => this.#house.again() }, "Show the round"),
    );
  }

  #close(...news) {
    this.#verdict = null;
    for (const one of this.form.querySelectorAll("button, textarea")) one.disabled = true;
    this.#news.replaceChildren(...news.flat());
  }

  #approved({ approvals, approvals_needed: needed }) {
    this.#approvals.hidden = needed < 2 && approvals.length === 0;
    this.#approvals.replaceChildren(
      `${approvals.length} of ${needed} approvals`,
      ...approvals.flatMap((one, at) => [
        at === 0 ? ": " : ", ",
        h("span", { title: words.moment(one.timestamp) }, text(one.reviewer)),
      ]),
    );
  }

  #codesOf(verdict) {
    const { domain } = this.#one.content.proposal;
    return settings.codes(domain, verdict) ?? words.CODES[verdict];
  }

  #choose(verdict) {
    if (this.#choices.firstElementChild.disabled) return;
    this.#verdict = verdict;
    check(this.#choices, verdict);
    this.#codes.replaceChildren(
      ...this.#codesOf(verdict).map((code, at) =>
        choice(code.replaceAll("_", " "), digit(at + 1), code, () => this.#code(at)),
      ),
    );
    this.#send.disabled = true;
    this.chosen();
  }

  #code(at) {
    const chosen = this.#codes.children[at];
    if (!chosen || chosen.disabled) return;
    check(this.#codes, chosen.dataset.value);
    this.#send.disabled = false;
  }

  #decide() {
    const code = this.#codes.querySelector('[aria-checked="true"]')?.dataset.value;
    if (!this.#verdict || !code) return;
    this.#house.decide(this.#one, {
      decision_id: newId(),
      proposal_id: this.#one.proposal_id,
      // Whoever is signed in once it is sent, it is said by nobody else.
      reviewer: this.#house.me,
      package_digest: this.#one.package_digest,
      verdict: this.#verdict,
      reason_code: code,
      rationale: this.#rationale.value.trim(),
    });
  }
}

function choice(label, key, value, does) {
  return h(
    "button",
    { type: "button", role: "radio", "aria-checked": "false", "data-value": value, onclick: does },
    label,
    " ",
    key,
  );
}

const digit = (number) => h("kbd", { "aria-hidden": "true" }, `${number}`);

function check(group, value) {
  for (const one of group.children)
    one.setAttribute("aria-checked", String(one.dataset.value === value));
}
