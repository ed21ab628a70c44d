// How the house is, as the gateway sees it: one thing in each row, and looked at again.

import { ask } from "./api.js";
import { h, text } from "./dom.js";
import { lines } from "./tables.js";
import * as words from "./words.js";

// How often is looked again.
const AGAIN = 15_000;

/** Each check's name, and where more is told of it. */
const NAMES = {
  log: ["The log"],
  rounds: ["Open rounds"],
  escalations: ["Waiting for people", "./"],
  dead_letters: ["Refused lately", "?page=refused"],
  processors: ["Processors"],
  claims: ["Claims"],
  operates: ["Operating"],
};

/** How a check stands: a mark and a word, so that it needs no colour. */
const STATES = { OK: ["✓", "well"], WARN: ["!", "look at it"], FAIL: ["✕", "does not work"] };

/** The page. */
export async function health(given, house, signal) {
  const summary = h("p", { class: "count", role: "status" });
  const at = h("p", { class: "faint" });
  const place = h("ul", { class: "health", "aria-label": "Health" });
  const look = async () => {
    const { checks } = await ask("../v1/health", {}, signal);
    const ill = checks.filter((check) => check.state !== "OK").length;
    const all =
      ill === 0
        ? "All is well."
        : `${ill} of ${checks.length} should be looked at, or do not work.`;
    // Said again only if it is another.
    if (summary.textContent !== all) summary.textContent = all;
    place.replaceChildren(...checks.map(shown));
    at.textContent = `As of ${words.moment(Date.now())}; looked at again every 15 seconds.`;
  };
  await look();
  house.news = () => look().catch(house.failed);
  const timer = setInterval(house.news, AGAIN);
  signal.addEventListener("abort", () => clearInterval(timer));
  return [summary, place, at];
}

function shown({ name, state, detail, value }) {
  const [title, where] = NAMES[name] ?? [name];
  const [mark, word] = STATES[state] ?? ["?", state];
  return h(
    "li",
    {},
    h("strong", {}, where ? h("a", { href: where }, title) : title),
    h(
      "span",
      { class: `state ${state.toLowerCase()}` },
      h("span", { class: "mark", "aria-hidden": "true" }, mark),
      ` ${word}`,
    ),
    h("div", {}, text(detail)),
    h("div", { class: "faint" }, value === null ? "not known" : lines(numbers(value))),
  );
}

/** What a check counts: a line for each; of lists, those that have something. */
function numbers(value) {
  return Object.entries(value).flatMap(([name, one]) => {
    if (Array.isArray(one))
      return one
        .filter(({ behind }) => behind > 0)
        .map(({ topic, partition, behind }) => `${topic} ${partition}: ${behind}`);
    if (one !== null && typeof one === "object")
      return Object.entries(one).map(([code, count]) => [h("code", {}, text(code)), ` ${count}`]);
    return [`${name.replace(/_ms$/, "").replaceAll("_", " ")}: ${told(name, one)}`];
  });
}

function told(name, one) {
  if (one === null) return "not yet";
  if (typeof one === "boolean") return one ? "yes" : "no";
  return name.endsWith("_ms") ? words.span(one) : `${one}`;
}
