// A reviewer's queue has what they may decide, and the rest if they ask for it; a decision that is not
// theirs says why, instead of a form.

import assert from "node:assert/strict";
import { ask, AT, escalate, escalated, flaws, open, signIn } from "./house.mjs";

const { browser, context, sound } = await open();
const mine = await escalate("payment-1");
// Rosa reviews up to LOW.
const high = await escalate("payment-2", { stakes: "HIGH" });
for (const id of [mine, high]) await escalated(id);
const listed = async (query) =>
  (await ask("rosa", `/v1/escalations${query}`)).escalations.map((one) => one.proposal_id);
assert.deepEqual(await listed("?mine=true"), [mine]);
assert.deepEqual(await listed(""), [mine, high]);
assert.equal((await ask("rosa", `/v1/escalations/${mine}`)).may_decide.allowed, true);
const { may_decide: told } = await ask("rosa", `/v1/escalations/${high}`);
assert.deepEqual([told.allowed, told.code], [false, "reviewer_not_allowed"]);

const page = await signIn(context, "rosa");
await page.waitForSelector(`[data-round="${mine}"]`);
assert.equal(await page.locator(`[data-round="${high}"]`).count(), 0);
await page.click(".whose a:text('All')");
await page.waitForSelector(`[data-round="${high}"]`);
assert.match(page.url(), /all=1/);
assert.deepEqual(await flaws(page), []);
await page.click(`[data-round="${high}"] a`);
await page.waitForSelector(".yours:has-text('you do not review this domain')");
assert.equal(await page.locator("form.yours").count(), 0);
assert.deepEqual(await flaws(page), []);
// Nor do keys do anything there.
for (const key of ["a", "1", "Enter"]) await page.keyboard.press(key);
assert.equal(await page.isHidden(".outbox"), true);
// What is told is what a decision would come to.
const { package_digest } = await ask("rosa", `/v1/escalations/${high}`);
const refused = await fetch(`${AT}/v1/decisions?wait=30`, {
  method: "POST",
  headers: { authorization: "Bearer token-of-rosa" },
  body: JSON.stringify({ proposal_id: high, package_digest, verdict: "APPROVE" }),
});
assert.deepEqual([refused.status, (await refused.json()).code], [422, told.code]);
// An operator looks on at all of it.
const elsewhere = await open();
const op = await signIn(elsewhere.context, "op");
await op.waitForSelector(`[data-round="${high}"]`);
await elsewhere.sound(op);
await elsewhere.browser.close();
await sound(page);
await browser.close();
