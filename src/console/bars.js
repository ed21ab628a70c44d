// Every ballot's weight as a bar: challenges to the left, endorsements to the right; and where both
// sides together come to, with the margin that would have carried.

import { h, svg } from "./dom.js";
import * as words from "./words.js";

const WIDTH = 640;
const HALF = WIDTH / 2;
const ROW = 14;
// Bars of no more ballots than that; all of them are in the table.
const MOST = 40;

/** The heaviest ballots. */
export function bars(decision) {
  const weighed = decision.ballots.filter((ballot) => ballot.weight > 0);
  const heaviest = [...weighed].sort((a, b) => b.weight - a.weight).slice(0, MOST);
  if (heaviest.length === 0) return h("p", {}, "Nobody's ballot weighed anything.");
  const scale = (HALF - 4) / heaviest[0].weight;
  const rows = heaviest.map((ballot, at) => {
    const length = Math.max(1, ballot.weight * scale);
    const side = ballot.verdict === "ENDORSE" ? "for" : "against";
    const x = side === "for" ? HALF + 1 : HALF - 1 - length;
    return svg(
      "rect",
      { class: side, x, y: at * ROW + 2, width: length, height: ROW - 4 },
      svg(
        "title",
        {},
        `${ballot.agent_id} ${words.VERDICTS[ballot.verdict]} with ${words.number(ballot.weight)}`,
      ),
    );
  });
  const height = heaviest.length * ROW;
  const middle = svg("line", { class: "middle", x1: HALF, x2: HALF, y1: 0, y2: height });
  const label = `Weights: ${words.number(decision.E)} for it, ${words.number(decision.C)} against it`;
  const figure = h(
    "figure",
    { class: "weights" },
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label },
      rows,
      middle,
    ),
    balance(decision),
  );
  if (weighed.length > MOST) {
    figure.append(h("figcaption", {}, `the ${MOST} heaviest of ${weighed.length} ballots`));
  }
  return figure;
}

/** Where both sides come to between all against and all for. */
function balance({ E, C, margin_needed: needed }) {
  const both = E + C;
  const share = both > 0 ? (E - C) / both : 0;
  const at = (value) => HALF + value * (HALF - 8);
  const within = Math.min(1, needed);
  const label =
    `Margin ${words.number(Math.abs(share))} ${share < 0 ? "against" : "for"} it; ` +
    `${words.number(needed)} either way would have carried`;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 26`, role: "img", "aria-label": label },
    svg("rect", {
      class: "band",
      x: at(-within),
      y: 6,
      width: at(within) - at(-within),
      height: 14,
    }),
    svg("line", { class: "axis", x1: 4, x2: WIDTH - 4, y1: 13, y2: 13 }),
    svg("line", { class: "middle", x1: HALF, x2: HALF, y1: 4, y2: 22 }),
    svg("circle", { class: share < 0 ? "against" : "for", cx: at(share), cy: 13, r: 6 }),
    svg("title", {}, label),
  );
}

/** How sure those were who counted, by verdict: tenths from coin flip to certain. */
export function confidences({ histograms }) {
  const most = Math.max(1, ...histograms.flatMap(({ tenths }) => tenths));
  const strips = histograms
    .filter(({ tenths }) => tenths.some((count) => count > 0))
    .map((one) => {
      const boxes = one.tenths.map((count, at) =>
        svg("rect", {
          class: one.verdict === "ENDORSE" ? "for" : "against",
          x: at * 20,
          width: 18,
          y: 40 - (40 * count) / most,
          height: (40 * count) / most,
        }),
      );
      const counts = one.tenths.map((count, at) =>
        count > 0 ? `${count} at ${at / 10} or more` : "",
      );
      const label =
        `Confidence of those who ${one.verdict.toLowerCase()}: ` +
        counts.filter((count) => count !== "").join(", ");
      return h(
        "div",
        { class: "strip" },
        h("span", {}, one.verdict.toLowerCase()),
        svg(
          "svg",
          { viewBox: "0 0 200 42", role: "img", "aria-label": label },
          boxes,
          svg("line", { class: "axis", x1: 0, x2: 200, y1: 41, y2: 41 }),
        ),
      );
    });
  return h("div", { class: "confidences" }, strips);
}
