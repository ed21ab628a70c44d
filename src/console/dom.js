// Makes elements. What anybody wrote gets into a page as text nodes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, given, children) {
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined),
  );
  return element;
}

/** An element of HTML, by its name, attributes, listeners (`onclick`) and children. */
export function h(name, given, ...children) {
  return fill(document.createElement(name), given, children);
}

/** The same of SVG. */
export function svg(name, given, ...children) {
  return fill(document.createElementNS(SVG, name), given, children);
}

// What is there and cannot be seen, or changes what can: controls, direction, joiners, tags, fillers.
const HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5" +
    "\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0" +
    "\\ufff0-\\ufffb\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]|[\\ud800-\\udfff]",
  "gu",
);

// Letters of other scripts, and letters made for formulas and wide text, that pass for Latin ones.
const FOREIGN = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u;
const DISGUISED = /[\u{1d400}-\u{1d7ff}\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]/u;
const ALIKE = /^[аеорсухіјѕԁԛԝһӏАВЕКМНОРСТУХІЈЅοανικρΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոց]+$/u;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** Which characters of a text pass for others, as places in it. */
function disguised(all) {
  const found = new Map();
  const words = [...all.matchAll(WORD)];
  // What is written in another script all over is no disguise.
  const isForeign = ([word]) => [...word].some((c) => FOREIGN.test(c) && !ALIKE.test(c));
  const isOwn = words.some((word) => isForeign(word) && !/\p{Script=Latin}/u.test(word[0]));
  for (const word of words) {
    const isMixed = /\p{Script=Latin}/u.test(word[0]);
    const isAlike = !isOwn && ALIKE.test(word[0]);
    let at = word.index;
    for (const c of word[0]) {
      if (DISGUISED.test(c) || (FOREIGN.test(c) && (isMixed || isAlike))) found.set(at, c);
      at += c.length;
    }
  }
  return found;
}

const numberOf = (c) => c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");

/**
 * What somebody wrote, with what cannot be seen shown as boxes with its number, and letters that pass for
 * others with theirs.
 */
export function text(written) {
  const all = String(written);
  const marks = new Map([...all.matchAll(HIDDEN)].map((found) => [found.index, found[0]]));
  const letters = /^[\x20-\x7e]*$/.test(all) ? new Map() : disguised(all);
  const parts = [];
  let from = 0;
  for (const [at, c] of [...marks, ...letters].sort(([a], [b]) => a - b)) {
    const point = numberOf(c);
    parts.push(all.slice(from, at));
    parts.push(
      marks.has(at)
        ? h("span", { class: "hidden-character", title: `U+${point}, which cannot be seen` }, point)
        : h(
            "span",
            { class: "disguised", title: `U+${point}, which is not the letter it looks like` },
            c,
            h("span", { class: "hidden-character" }, point),
          ),
    );
    from = at + c.length;
  }
  parts.push(all.slice(from));
  return h("bdi", { class: "untrusted" }, parts);
}

// How much of a long text is shown at first.
const SHOWN = 600;

/** The same in a block of its own, folded if it is long. */
export function prose(written) {
  const all = [...String(written)];
  const whole = () => h("div", { class: "prose", dir: "auto" }, text(written));
  if (all.length <= SHOWN) return whole();
  const more = h("button", { type: "button", class: "quiet" }, `Show all ${all.length} characters`);
  const folded = h(
    "div",
    { class: "prose", dir: "auto" },
    text(all.slice(0, SHOWN).join("")),
    "… ",
    more,
  );
  more.addEventListener("click", () => folded.replaceWith(whole()));
  return folded;
}
