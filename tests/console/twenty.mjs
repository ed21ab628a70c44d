// A reviewer decides twenty, one after the other, with three keys each and no other hand.

import assert from "node:assert/strict";
import { AT, escalate, escalated, last, open, signIn, step } from "./house.mjs";

const SAYS = [
  ["a", "APPROVED", "HUMAN_DECISION"],
  ["r", "REJECTED", "HUMAN_DECISION"],
  ["b", "REJECTED", "SENT_BACK"],
];
const MOST = 3;

const { browser, context, sound } = await open();
const page = await signIn(context, "rita");
const names = Array.from({ length: 20 }, (_, at) => `payment-${at + 1}`);
const rounds = await Promise.all(names.map((name) => escalate(name)));
await Promise.all(rounds.map(escalated));
await page.goto(`${AT}/console/?round=${rounds[0]}`);

const left = new Set(rounds);
const said = new Map();
for (let at = 0; at < rounds.length; at += 1) {
  step(`decide number ${at + 1}`);
  const shown = await page.waitForSelector(
    [...left].map((id) => `article[data-round="${id}"]`).join(", "),
  );
  const id = await shown.getAttribute("data-round");
  left.delete(id);
  const [key, status, reason] = SAYS[at % SAYS.length];
  const keys = [key, `${1 + (at % 3)}`, "Enter"];
  assert.ok(keys.length <= MOST);
  for (const one of keys) await page.keyboard.press(one);
  said.set(id, [status, reason]);
}
step("nothing is left, and all of them are on the log");
await page.waitForSelector("text=Nothing waits.");
for (const [id, [status, reason]] of said) {
  const decision = await last(id);
  assert.deepEqual([decision.status, decision.reasons[0]], [status, reason]);
}
await sound(page);
await browser.close();
