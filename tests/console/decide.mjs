// A person decides by keys alone: an escalation comes while the queue is open, is decided, undone, and
// decided again; another is decided while the gateway cannot be reached and the person is signed out.

import assert from "node:assert/strict";
import {
  ask,
  AT,
  elapse,
  escalate,
  escalated,
  last,
  open,
  press,
  say,
  signIn,
  step,
  stopped,
} from "./house.mjs";

const { browser, context, sound } = await open();
// What is held is held until this says so.
await stopped(context);
const page = await signIn(context, "rita");
const outbox = (what) => page.waitForSelector(`.outbox li:has-text("${what}")`);
await page.waitForSelector("text=Nothing waits.");

step("an escalation comes while the queue is open");
const first = await escalate("payment-1");
await page.waitForSelector(`[data-round="${first}"][aria-current]`);
await page.waitForFunction(() => document.title.startsWith("(1)"));
await page.waitForSelector("[role=status]:has-text('Arrived: payment.block payment-1')");

step("it is opened and decided");
await press(page, "Enter");
await page.waitForSelector("h1:has-text('payment.block payment-1')");
await press(page, "a", "1", "Enter");
await outbox("Approve payment.block payment-1: not yet sent");

step("it is undone");
await press(page, "u");
await page.waitForSelector("[role=radio][aria-checked=true]:text('Approve')");
assert.equal(await page.isHidden(".outbox"), true);
await elapse(page);
assert.equal((await ask("rita", `/v1/rounds/${first}/outcomes`)).outcomes.length, 1);

step("it is decided again");
await press(page, "r", "2", "Enter");
await outbox("Reject payment.block payment-1: not yet sent");
await elapse(page);
await outbox("Reject payment.block payment-1: decided");
const decision = await last(first);
assert.equal(decision.status, "REJECTED");
assert.equal(decision.resolved_by, "HUMAN");
await page.waitForSelector("text=Nothing waits.");
await elapse(page);
await page.waitForSelector(".outbox", { state: "hidden" });

step("the network goes away: what was decided is kept, and said to be");
const second = await escalate("payment-2");
await page.waitForSelector(`[data-round="${second}"][aria-current]`);
await press(page, "Enter");
await page.waitForSelector("h1:has-text('payment-2')");
await context.setOffline(true);
await press(page, "a", "2", "Enter");
await outbox("not yet sent");
await elapse(page);
await outbox("kept here: the gateway cannot be reached");
await context.setOffline(false);

step("then the session ends: kept as well, until somebody has signed in again elsewhere");
await context.clearCookies();
await page.click(".outbox button:text('Send again')");
await outbox("you are signed out");
assert.equal((await ask("rita", `/v1/rounds/${second}/outcomes`)).outcomes.length, 1);
await signIn(context, "olga").then((hers) => hers.close());
await page.click(".outbox button:text('Send again')");
await outbox("somebody else is signed in");
await context.clearCookies();
const other = await signIn(context, "rita");
await page.click(".outbox button:text('Send again')");
await outbox("Approve payment.block payment-2: decided");
assert.equal((await last(second)).status, "APPROVED");

step("the session ends, and the network goes, while somebody writes: what is written stays");
const written = await escalate("payment-5");
await escalated(written);
// What is asked beside it is the first to hear of it; nobody is taken away by that either.
const isBeside = (url) => url.pathname === "/v1/outcomes";
await page.route(isBeside, (route) => route.fulfill({ status: 401, json: {} }), { times: 1 });
const beside = page.waitForResponse((answer) => isBeside(new URL(answer.url())));
await page.goto(`${AT}/console/?round=${written}`);
await page.waitForSelector("h1:has-text('payment-5')");
assert.equal((await beside).status(), 401);
await press(page, "a", "3");
await page.fill(".yours textarea", "asked the customer");
await context.clearCookies();
await page.waitForSelector(".yours .news:has-text('You are signed out')");
await signIn(context, "rita").then((again) => again.close());
await page.waitForSelector(".yours .news .alone", { state: "detached" });
await context.setOffline(true);
await page.waitForSelector(".yours .news:has-text('The gateway cannot be reached')");
await page.focus(".yours textarea");
await press(page, "Escape", "Enter");
await outbox("not yet sent");
await elapse(page);
await outbox("kept here: the gateway cannot be reached");
await context.setOffline(false);

step("the page is left and comes back with what could not be sent");
await page.reload();
await outbox("kept here: this page was left");
await page.click(".outbox button:text('Send again')");
await outbox("Approve payment.block payment-5: decided");
assert.equal((await last(written)).status, "APPROVED");
await page.reload();
await page.waitForSelector(`article[data-round="${written}"]`);
assert.equal(await page.isHidden(".outbox"), true);

step("somebody else was first: it is refused, and said so");
const third = await escalate("payment-3");
await escalated(third);
await page.goto(`${AT}/console/?round=${third}`);
await page.waitForSelector("h1:has-text('payment-3')");
await press(page, "a", "1", "Enter");
await outbox("not yet sent");
const { package_digest } = await ask("rita", `/v1/escalations/${third}`);
await say("olga", "/v1/decisions?wait=30", {
  proposal_id: third,
  package_digest,
  verdict: "REJECT",
});
assert.equal((await last(third)).status, "REJECTED");
await elapse(page);
await outbox("already_decided");

step("the page is closed with a decision held: it is sent");
const fourth = await escalate("payment-4");
await escalated(fourth);
await page.goto(`${AT}/console/?round=${fourth}`);
await page.waitForSelector("h1:has-text('payment-4')");
await press(page, "b", "1", "Enter");
await outbox("not yet sent");
await sound(page);
await page.close({ runBeforeUnload: false });
assert.equal((await last(fourth)).reasons[0], "SENT_BACK");

await sound(other);
await browser.close();
