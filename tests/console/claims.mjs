// Two reviewers at one queue: an escalation comes, one claims it, the other sees it and is led past it;
// it is decided by keys, undone, and decided again, and is nobody's then.

import assert from "node:assert/strict";
import {
  AT,
  ask,
  elapse,
  escalate,
  flaws,
  last,
  open,
  press,
  signIn,
  step,
  stopped,
  until,
} from "./house.mjs";

const { browser, context, another, sound } = await open();
const elsewhere = await another();
for (const one of [context, elsewhere]) await stopped(one);
const rita = await signIn(context, "rita");
const olga = await signIn(elsewhere, "olga");
const row = (page, id, what) => page.waitForSelector(`.queue [data-round="${id}"]${what}`);
const claim = async (id) => (await ask("rita", `/v1/escalations/${id}`)).claim;

step("an escalation comes while both have the queue open");
const first = await escalate("payment-1");
for (const page of [rita, olga]) await row(page, first, "[aria-current]");

step("one claims it, and the other sees that");
await press(rita, "c");
await row(rita, first, " .claim:has-text('claimed by you until')");
await row(olga, first, " .claim:has-text('rita is at it until')");
assert.deepEqual(await flaws(olga), []);

step("the other cannot claim it");
await press(olga, "c");
await olga.waitForSelector(".notice:has-text('already_claimed')");
assert.equal((await claim(first)).reviewer, "rita");

step("the other decides the next, and is led to what is free");
const second = await escalate("payment-2");
await row(olga, second, "");
const third = await escalate("payment-3");
await row(olga, third, "");
await press(olga, "j");
await row(olga, second, "[aria-current]");
await press(olga, "Enter");
await olga.waitForSelector("h1:has-text('payment-2')");
await press(olga, "a", "1", "Enter");
await olga.waitForSelector("h1:has-text('payment-3')");
await elapse(olga);
await last(second);

step("whose it is can be told, and given up, where it is decided");
await press(rita, "Enter");
await rita.waitForSelector("h1:has-text('payment-1')");
await rita.waitForSelector(".claimed:has-text('claimed by you until')");
assert.deepEqual(await flaws(rita), []);
await press(rita, "c");
await rita.waitForSelector(".claimed .claim", { state: "detached" });
assert.equal(await claim(first), null);
await press(rita, "c");
await rita.waitForSelector(".claimed:has-text('claimed by you until')");
await olga.click("nav a:text('Needs you')");
await row(olga, first, " .claim:has-text('rita is at it until')");
await press(olga, "Enter");
await olga.waitForSelector("h1:has-text('payment-1')");
await olga.waitForSelector(".claimed:has-text('rita is at it until')");

step("it is decided, undone, and decided again");
await press(rita, "a", "1", "Enter");
await rita.waitForSelector(".outbox li:has-text('not yet sent')");
// What is shown of it is gone before it is shown again.
await rita.waitForSelector("h1:has-text('payment-3')");
await press(rita, "u");
await rita.waitForSelector("h1:has-text('payment-1')");
await rita.waitForSelector("[role=radio][aria-checked=true]:text('Approve')");
await rita.waitForSelector(".claimed:has-text('claimed by you until')");
await press(rita, "r", "2", "Enter");
await rita.waitForSelector(".outbox li:has-text('Reject payment.block payment-1: not yet sent')");
await elapse(rita);
const decision = await last(first);
assert.deepEqual([decision.status, decision.resolved_by], ["REJECTED", "HUMAN"]);
await until("it is nobody's", async () => (await claim(first)) === null);

step("the audit tells who claimed it and gave it up");
await rita.goto(`${AT}/console/?page=audit&kind=claim`);
await rita.waitForSelector("table");
const told = await rita.locator("tbody tr").allInnerTexts();
assert.equal(told.length, 4, told.join("\n"));
assert.ok(told.every((line) => line.includes("rita") && line.includes(first)), told.join("\n"));
assert.deepEqual(
  told.map((line) => line.includes("claims it")),
  [false, true, false, true],
);
assert.match(told[0], /gives it up/);
assert.equal(await rita.locator("main >> text=are missing").count(), 0);
assert.deepEqual(await flaws(rita), []);
await rita.route("**/v1/audit?**", (route) =>
  route.fulfill({ json: { actions: [], next: null, lacks: "no topic; run `quorate topics apply`" } }),
);
await rita.reload();
await rita.waitForSelector("main >> text=Claims, or the latest of them, are missing: no topic");

for (const page of [rita, olga]) await sound(page);
await browser.close();
