// What the house has set for these pages, by domain. It decides nothing.

import { ask } from "./api.js";
import * as keys from "./keys.js";

const SUBJECT = "{subject}";
let domains = [];

/** Asks for it. */
export async function load() {
  const given = await ask("settings");
  keys.take(given.keys ?? {});
  const closest = (a, b) =>
    (a.domain === "*") - (b.domain === "*") || b.domain.length - a.domain.length;
  domains = (given.domains ?? []).toSorted(closest);
}

/** What the closest entry says of a domain that says anything. */
function said(domain, of) {
  const covers = (prefix) => prefix === "*" || prefix === domain || domain.startsWith(`${prefix}.`);
  for (const entry of domains.filter((one) => covers(one.domain))) {
    const value = of(entry);
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Whether what agents came to is hidden until somebody has chosen. */
export const hidesLean = (domain) => said(domain, (entry) => entry.hide_lean) ?? false;

/** What may be given as a reason for a verdict; null: nothing is set. */
export const codes = (domain, verdict) =>
  said(domain, (entry) => {
    const given = entry.reason_codes[verdict.toLowerCase()];
    return given.length > 0 ? given : null;
  });

/** Where the house itself shows what an action is done to; null: nowhere, or it cannot be told. */
export function linkOf(domain, subject) {
  const template = said(domain, (entry) => entry.links.subject);
  // Dots alone would lead elsewhere on that host, however they are written.
  if (template === null || /^\.{0,2}$/.test(subject)) return null;
  let link;
  try {
    link = new URL(template.replace(SUBJECT, () => encodeURIComponent(subject)));
  } catch {
    return null;
  }
  return link.protocol === "https:" ? link.href : null;
}
