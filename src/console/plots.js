// Plots of a track record, as plain SVG: how trust moved, and what was said against what came true.

import { h, svg, text } from "./dom.js";
import { share, table, row, when } from "./tables.js";
import { section } from "./told.js";
import * as words from "./words.js";

const WIDTH = 640;
const HEIGHT = 200;
// Room for what stands beside the axes.
const LEFT = 54;
const EDGE = 12;

const across = (part) => LEFT + part * (WIDTH - LEFT - EDGE);
const up = (part) => HEIGHT - EDGE - part * (HEIGHT - 2 * EDGE);

const TURNED = { true: "for", false: "against", null: "unknown" };

/** Lines at none, half and all, with what they are. */
const grid = () =>
  [0, 0.5, 1].map((part) => [
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH - EDGE, y1: up(part), y2: up(part) }),
    svg("text", { class: "tick", x: LEFT - 6, y: up(part) + 5 }, words.percent(part)),
  ]);

/** What a step says, in words. */
function told(step) {
  const moved = step.trust === null ? "not folded yet" : `trust ${words.number(step.trust)}`;
  if (step.proposal_id === null) return moved;
  const verdict = step.verdict === "ENDORSE" ? "endorsed" : "challenged";
  const sure = words.percent((1 + step.confidence) / 2);
  return (
    `${words.moment(step.timestamp)}: ${verdict}, ${sure} sure; it turned out ` +
    `${step.result.toLowerCase()}${step.is_correction ? ", corrected" : ""}: ${moved}`
  );
}

/** How trust moved with each result, and a table of the same. */
export function trust({ trust_domain: domain, steps, right }) {
  const known = steps.filter((step) => step.trust !== null);
  const read = h("figcaption", { role: "status" });
  const say = (step) => () => read.replaceChildren(told(step));
  const title = ["Trust in ", text(domain)];
  if (known.length === 0) return section(title, h("p", {}, "No result has moved it yet."));
  const from = known[0].timestamp;
  const span = Math.max(1, known.at(-1).timestamp - from);
  const x = ({ timestamp }) => across((timestamp - from) / span);
  const y = ({ trust: value }) => up(value);
  // It stays as it is until the next result.
  const path = known.flatMap((step, at) => [
    `${at === 0 ? "M" : "H"}${x(step)}`,
    `${at === 0 ? "," : "V"}${y(step)}`,
  ]);
  const marks = known.map((step) => {
    const mark = svg("circle", {
      class: `${TURNED[step.was_right]}${step.is_correction ? " corrected" : ""}`,
      cx: x(step),
      cy: y(step),
      r: 5,
    });
    const named = { "aria-label": told(step), onfocus: say(step), onmouseenter: say(step) };
    return step.proposal_id === null
      ? svg("g", { role: "img", ...named }, mark)
      : svg("a", { href: `?round=${step.proposal_id}`, ...named }, mark);
  });
  const last = known.at(-1);
  const label = `Trust from ${words.moment(from)} to ${words.moment(last.timestamp)}`;
  read.append(`${words.moment(from)} to ${words.moment(last.timestamp)}`);
  return section(
    title,
    h(
      "p",
      {},
      `A vote worth ${words.percent(last.trust)} of an expert's. Right: `,
      share(right),
      ".",
    ),
    h(
      "figure",
      { class: "plot" },
      svg(
        "svg",
        { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": label },
        grid(),
        svg("path", { class: "line", d: path.join("") }),
        marks,
      ),
      read,
    ),
    h(
      "details",
      {},
      h("summary", {}, `The same as a table: ${steps.length} results`),
      table(
        "Results",
        ["when", "result", "said", "trust after it", "right / wrong", "round"],
        [...steps].reverse().map(line),
      ),
    ),
  );
}

function line(step) {
  const result = step.result?.toLowerCase() ?? "forgotten";
  return row(
    when(step.timestamp),
    step.is_correction ? `${result}, corrected` : result,
    step.verdict === null
      ? "–"
      : `${step.verdict.toLowerCase()} at ${words.number(step.confidence, 2)}`,
    step.trust === null ? "–" : words.number(step.trust),
    step.a === null ? "–" : `${words.number(step.a, 1)} / ${words.number(step.b, 1)}`,
    step.proposal_id === null
      ? "–"
      : h("a", { href: `?round=${step.proposal_id}` }, step.proposal_id),
  );
}

/** Whether an agent was as sure as it was right. */
export function calibration({ calibration: bins }) {
  if (bins.length === 0) return null;
  // Nobody says less than one half.
  const x = (said) => across((said - 0.5) * 2);
  const marks = bins.map(({ said, right }) =>
    svg(
      "g",
      {},
      svg("line", {
        class: "interval",
        x1: x(said),
        x2: x(said),
        y1: up(right.low),
        y2: up(right.high),
      }),
      svg(
        "circle",
        {
          class: "share",
          cx: x(said),
          cy: up(right.share),
          r: 3 + Math.min(6, Math.sqrt(right.of)),
        },
        svg("title", {}, `${words.percent(said)} said; ${share(right)}`),
      ),
    ),
  );
  return section(
    "As sure as it was right?",
    h(
      "figure",
      { class: "plot" },
      svg(
        "svg",
        {
          viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
          role: "img",
          "aria-label": "What was said against what came true; the table below says the same",
        },
        grid(),
        svg("line", { class: "ideal", x1: x(0.5), y1: up(0.5), x2: x(1), y2: up(1) }),
        marks,
      ),
      h(
        "figcaption",
        {},
        "From left to right, how sure it was, from a coin flip to certain; upwards, how often it was " +
          "right, with the interval in which that is at 95 %. On the line it is as sure as it is right.",
      ),
    ),
    table(
      "Calibration",
      ["said to be right", "came true"],
      bins.map(({ said, right }) => row(words.percent(said), share(right))),
    ),
  );
}
