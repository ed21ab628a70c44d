// "I know how this turned out": a result, audited, by whom may report; it corrects an earlier one.

import { ask, newId, say } from "./api.js";
import { h, text } from "./dom.js";
import { section } from "./told.js";

const RESULTS = [
  ["RIGHT", "It was right, or would have been"],
  ["WRONG", "It was wrong, or would have been"],
];

/** A form for a closed round; nothing for who may not report. `done` is called once it counts. */
export async function result(one, signal, done) {
  const session = await ask("session", {}, signal);
  if (one.state !== "CLOSED" || !session.roles.includes("reporter")) return null;
  const settled = one.closed.settlement;
  const news = h("p", { role: "status" });
  const sure = h("button", { type: "submit" }, settled === null ? "Report it" : "Correct it");
  const note = h("textarea", { name: "note", rows: "2", maxlength: "2000" });
  const choices = RESULTS.map(([value, label]) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name: "result", value, required: true }),
      ` ${label}`,
    ),
  );
  // The same if it has to be sent again.
  const id = newId();
  const send = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const record = {
      result_id: id,
      proposal_id: one.proposal_id,
      result: given.get("result"),
      basis: "AUDITED",
      corrects: settled?.result_id ?? null,
      note: given.get("note"),
    };
    sure.disabled = true;
    news.replaceChildren("It is on its way.");
    try {
      const told = await say("../v1/results?wait=10", record);
      if (told.state === "admitted") done();
      else news.replaceChildren("It is on the log, and was not judged yet: look again in a while.");
    } catch (error) {
      sure.disabled = false;
      news.replaceChildren(text(error.message), error.code ? ` (${error.code})` : "");
    }
  };
  return section(
    "I know how this turned out",
    settled === null
      ? null
      : h("p", {}, `It is on record as ${settled.result.toLowerCase()}; yours takes its place.`),
    h(
      "form",
      { class: "result", onsubmit: send },
      h("fieldset", {}, h("legend", {}, "How"), choices),
      h("label", {}, "How you know", note),
      sure,
      news,
    ),
  );
}
