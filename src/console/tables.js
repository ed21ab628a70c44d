// What pages of lists have in common: fields to look through them by, tables, files, and where to go on.

import { h } from "./dom.js";
import * as words from "./words.js";

/** Records on a page. */
export const LIMIT = 100;

/** When something was: as people read it here, and in UTC for who asks. */
export function when(milliseconds) {
  const at = new Date(milliseconds);
  return h(
    "time",
    { datetime: at.toISOString(), title: at.toUTCString() },
    words.moment(milliseconds),
  );
}

/**
 * Fields by which a list is looked through, in the URL: each its name and label, and what may be
 * chosen or the type of its input.
 */
export function filter(house, page, given, fields) {
  const inputs = fields.map(([name, label, kind = "search"]) => {
    const value = given.get(name) ?? "";
    if (!Array.isArray(kind))
      return h("input", {
        name,
        value,
        type: kind === "date" ? "date" : "text",
        title: label,
        placeholder: label,
        "aria-label": label,
        autocomplete: "off",
      });
    const choices = ["", ...kind].map((one) =>
      h("option", { value: one, selected: one === value }, one === "" ? label : one.toLowerCase()),
    );
    return h("select", { name, "aria-label": label }, choices);
  });
  const apply = (event) => {
    event.preventDefault();
    const wanted = inputs.map((input) => [input.name, input.value.trim()]);
    const query = [["page", page], ...wanted.filter(([, value]) => value !== "")];
    house.go(`?${new URLSearchParams(query)}`);
  };
  return h(
    "form",
    { class: "filter", role: "search", onsubmit: apply },
    inputs,
    h("button", { type: "submit" }, "Show"),
  );
}

/** What of the URL is asked for; days as their beginning here, the last one as its end. */
export function asked(given, names) {
  const day = (text, more) => {
    const [year, month, date] = text.split("-").map(Number);
    const at = new Date(year, month - 1, date + more).getTime();
    return Number.isNaN(at) ? null : at;
  };
  const value = (name) => {
    const text = given.get(name);
    if (text === null || text === "") return null;
    if (name === "from") return day(text, 0);
    return name === "to" ? day(text, 1) : text;
  };
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}

/** Links to the same as files. */
export function files(where, query) {
  const wanted = Object.entries(query).filter(([, value]) => value !== null);
  const link = (format, label) => {
    const asked = new URLSearchParams([["format", format], ...wanted]);
    return h("a", { href: `${where}?${asked}`, download: "" }, label);
  };
  return h("p", { class: "files" }, "As a file: ", link("csv", "CSV"), " ", link("jsonl", "JSON"));
}

/** Rows under the names of their columns. */
export function table(label, columns, rows) {
  const head = columns.map((name) => h("th", { scope: "col" }, name));
  return h(
    "div",
    { class: "scrolls tall", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
  );
}

export const row = (first, ...others) =>
  h(
    "tr",
    {},
    h("th", { scope: "row" }, first),
    others.map((cell) => h("td", {}, cell)),
  );

export const lines = (parts) => parts.map((part) => h("div", {}, part));

/** The way to the next page, if there is one. */
export function onward(given, next) {
  if (next === null || next === undefined) return null;
  const query = new URLSearchParams(given);
  query.set("after", next);
  return h("p", { class: "more" }, h("a", { href: `?${query}` }, "Next page"));
}

/** A digest, as much as tells it apart. */
export const digest = (whole) => h("code", { title: whole }, whole.slice(0, 12));

/** Where a record lies. */
export const place = ({ topic, partition, offset }) =>
  h("span", { class: "faint place" }, `${topic} ${partition} @ ${offset}`);

/** A share with its interval. */
export function share({ of, count, share: is, low, high }) {
  if (of === 0) return "none yet";
  const between = `${words.percent(low)} and ${words.percent(high)}`;
  return `${count} of ${of}: ${words.percent(is)}, at 95 % between ${between}`;
}
