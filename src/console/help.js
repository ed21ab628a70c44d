// What keys do, and other keys for who wants others.

import { h } from "./dom.js";
import * as keys from "./keys.js";

/** Shows them in a dialog. */
export function show(dialog) {
  const news = h("p", { role: "alert" });
  const rows = Object.entries(keys.DOES).map(([does, words]) => {
    const key = h("input", {
      class: "key",
      value: keys.keyOf(does),
      maxlength: "1",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": `Key: ${words}`,
    });
    const change = () => {
      const wrong = keys.change(does, key.value);
      news.textContent = wrong === "" ? "" : `Not changed: ${wrong}.`;
      key.value = keys.keyOf(does);
      label();
    };
    key.addEventListener("focus", () => key.select());
    key.addEventListener("change", change);
    return [h("dt", {}, key), h("dd", {}, words)];
  });
  const back = () => {
    keys.forget();
    label();
    show(dialog);
  };
  const fixed = (key, does) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)];
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, "Keys"),
    h("dl", {}, fixed("Enter", "open; in a decision: decide"), fixed("1 … 9", "the reason"), rows),
    h(
      "p",
      { class: "faint" },
      "To have another key, put it into its field. This browser keeps it.",
    ),
    news,
    h(
      "form",
      { method: "dialog" },
      h("button", { autofocus: true }, "Close"),
      " ",
      h("button", { type: "button", class: "quiet", onclick: back }, "The usual ones"),
    ),
  );
  if (!dialog.open) dialog.showModal();
}

/** The key of a control, to be shown in it; not read out as if it were part of its name. */
export const hint = (does) =>
  h("kbd", { "aria-hidden": "true", "data-does": does }, keys.keyOf(does));

function label() {
  for (const key of document.querySelectorAll("kbd[data-does]"))
    key.textContent = keys.keyOf(key.dataset.does);
}
