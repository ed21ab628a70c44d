// What operators do: take an agent or a policy out of running rounds, and give it back to later ones.

import { say } from "./api.js";
import { h, text } from "./dom.js";

/** What can be done with an agent by whom may, or nothing. */
export function ofAgent(agent, house) {
  if (!house.is("operator") || agent.status === "RETIRED") return null;
  const where = `../v1/agents/${encodeURIComponent(agent.agent_id)}/suspension`;
  return agent.status === "SUSPENDED"
    ? button("Resume", () => resume(house, where, agent.agent_id))
    : button("Suspend", () => suspend(house, where, agent.agent_id, AGENT));
}

/** The same with a policy. */
export function ofPolicy(policy, house) {
  if (!house.is("operator")) return null;
  const where = `../v1/policies/${encodeURIComponent(policy.pattern)}/suspension`;
  return policy.mode === "suspended"
    ? button("Resume", () => resume(house, where, policy.pattern))
    : button("Suspend", () => suspend(house, where, policy.pattern, POLICY));
}

const AGENT =
  "Its ballots weigh nothing from now on, in running rounds as well; rounds they would have changed " +
  "come to people.";
const POLICY = "Every round under it comes to people from now on, those that run as well.";

const button = (label, does) =>
  h("button", { type: "button", class: "quiet", onclick: does }, label);

function suspend(house, where, name, what) {
  const reason = h("textarea", { rows: "3", maxlength: "2000", required: true });
  const fields = [h("p", {}, what), h("label", {}, "Why; it is kept with the order", reason)];
  const does = () => say(where, { reason: reason.value }, { method: "PUT" });
  confirm(house, ["Suspend ", text(name), "?"], fields, "Suspend it", does);
  reason.focus();
}

function resume(house, where, name) {
  const fields = [h("p", {}, "It takes part again in rounds that are opened from now on.")];
  const does = () => say(where, {}, { method: "DELETE" });
  confirm(house, ["Resume ", text(name), "?"], fields, "Resume it", does);
}

/** Asks once more, and does it. */
function confirm(house, title, fields, label, does) {
  const news = h("p", { class: "late", role: "alert" });
  const sure = h("button", { type: "submit" }, label);
  const enter = async (event) => {
    event.preventDefault();
    sure.disabled = true;
    try {
      await does();
      dialog.close();
      house.again();
    } catch (error) {
      sure.disabled = false;
      news.replaceChildren(text(error.message));
    }
  };
  const dialog = h(
    "dialog",
    { class: "sure", "aria-labelledby": "sure-title", onclose: () => dialog.remove() },
    h(
      "form",
      { onsubmit: enter },
      h("h2", { id: "sure-title" }, title),
      fields,
      news,
      h(
        "p",
        { class: "choices" },
        sure,
        h("button", { type: "button", onclick: () => dialog.close() }, "Leave it"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
