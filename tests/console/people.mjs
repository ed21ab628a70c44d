// Several who review: two at once, two who must agree, and one who looks at what is another by now.

import assert from "node:assert/strict";
import {
  ask,
  AT,
  elapse,
  disagree,
  escalate,
  escalated,
  flaws,
  last,
  open,
  press,
  say,
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
const show = async (page, id) => {
  await page.goto(`${AT}/console/?round=${id}`);
  await page.waitForSelector(`article[data-round="${id}"]`);
};
const outbox = (page, what) => page.waitForSelector(`.outbox li:has-text("${what}")`);
const news = (page, what) => page.waitForSelector(`.yours .news:has-text("${what}")`);

step("two decide at once: one wins, the other is told");
const both = await escalate("payment-1");
await escalated(both);
for (const [page, key] of [
  [rita, "a"],
  [olga, "r"],
]) {
  await show(page, both);
  await press(page, key, "1", "Enter");
  await outbox(page, "not yet sent");
}
await elapse(rita);
await outbox(rita, "decided");
await elapse(olga);
await outbox(olga, "already_decided");
const decided = await last(both);
assert.equal(decided.status, "APPROVED");
await olga.click(".outbox button:text('Dismiss')");

step("what has not changed is not told again, and nothing of it is drawn");
const quiet = await escalate("payment-5", { stakes: "CRITICAL" });
await escalated(quiet);
await show(olga, quiet);
const again = () =>
  olga.waitForResponse((answer) => {
    const isIt = answer.url() === `${AT}/v1/rounds/${quiet}`;
    return isIt && answer.status() === 304;
  });
await again();
await olga.evaluate(() => {
  window.drawn = [];
  const see = (all) => window.drawn.push(...all.map(({ target }) => target.nodeName));
  const what = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(see).observe(document.querySelector(".yours"), what);
});
await again();
await again();
assert.deepEqual(await olga.evaluate(() => window.drawn), []);
await show(rita, quiet);
await press(rita, "a", "1", "Enter");
await outbox(rita, "not yet sent");
await elapse(rita);
await outbox(rita, "noted, 1 of 2 approvals");
await news(olga, "Meanwhile: approved by rita: 1 of 2.");
await again();
await press(olga, "a", "1", "Enter");
await outbox(olga, "not yet sent");
await elapse(olga);
await last(quiet);

step("one has it open while the other decides: it is told, and nothing can be said any more");
const seen = await escalate("payment-2");
await escalated(seen);
await show(olga, seen);
await press(olga, "a", "1");
await olga.waitForSelector("button[type=submit]:enabled");
await show(rita, seen);
await press(rita, "r", "1", "Enter");
await outbox(rita, "not yet sent");
await elapse(rita);
await news(olga, "It was rejected meanwhile: by rita.");
await press(olga, "a", "1", "Enter");
assert.equal(await olga.isHidden(".outbox"), true);
assert.deepEqual(await flaws(olga), []);

step("a critical one: one approves, the other completes it");
const critical = await escalate("payment-3", { stakes: "CRITICAL" });
await escalated(critical);
await show(olga, critical);
await olga.waitForSelector(".approvals:has-text('0 of 2 approvals')");
await show(rita, critical);
await press(rita, "a", "1", "Enter");
await outbox(rita, "not yet sent");
await elapse(rita);
await outbox(rita, "noted, 1 of 2 approvals");
await news(olga, "Meanwhile: approved by rita: 1 of 2.");
await olga.waitForSelector(".approvals:has-text('1 of 2 approvals: rita')");
assert.equal((await ask("rita", `/v1/rounds/${critical}`)).state, "ESCALATED");
await press(olga, "a", "2", "Enter");
await outbox(olga, "not yet sent");
await elapse(olga);
await outbox(olga, "decided");
const agreed = await last(critical);
assert.deepEqual([agreed.status, agreed.resolved_by], ["APPROVED", "HUMAN"]);

step("another round on the same subject, what it came to, and who came late");
const alike = [await escalate("payment-1"), await escalate("payment-1")];
await Promise.all(alike.map(escalated));
await say("ada", "/v1/responses", { proposal_id: alike[0], verdict: "ENDORSE", confidence: 0.9 });
await until("it is refused", async () => {
  const { records } = await ask("rita", `/v1/rounds/${alike[0]}/records`);
  return records.some(({ refused }) => refused?.code === "round_closed");
});
await show(rita, alike[0]);
await rita.waitForSelector(".refused li:has-text('ada endorses'):has-text('round_closed')");
const came = (id, what) =>
  rita.waitForSelector(`.others li:has(a[href="?round=${id}"]):has-text("${what}")`);
await came(both, "approved, by rita");
await came(alike[1], "escalated, too few spoke");
await rita.click(`.others a[href="?round=${both}"]`);
await rita.waitForSelector(`article[data-round="${both}"]`);

step("the next and the previous, from one that is open");
const waiting = (await ask("rita", "/v1/escalations")).escalations.map((one) => one.proposal_id);
assert.ok(waiting.length >= 2);
await show(rita, waiting[0]);
await press(rita, "j");
await rita.waitForSelector(`article[data-round="${waiting[1]}"]`);
await press(rita, "k");
await rita.waitForSelector(`article[data-round="${waiting[0]}"]`);

step("what was seen is another by now: it is refused with what changed");
const stale = await escalate("payment-4");
await disagree(stale);
await escalated(stale);
const old = "00".repeat(32);
const altered = (change) => async (route) => {
  const answer = await route.fetch();
  if (answer.status() === 304) return route.fulfill({ response: answer });
  const told = await answer.json();
  change(told);
  await route.fulfill({ response: answer, json: told });
};
await rita.route(
  "**/v1/escalations/*",
  altered((one) => {
    one.package_digest = old;
    one.content.statements.pop();
  }),
  { times: 1 },
);
await rita.route(
  "**/v1/rounds/*",
  altered((round) => (round.closed.package_digest = old)),
);
await show(rita, stale);
await press(rita, "a", "1", "Enter");
await outbox(rita, "not yet sent");
await rita.unrouteAll({ behavior: "wait" });
await elapse(rita);
await outbox(rita, "package_mismatch");
await outbox(rita, "what was said is another");
assert.equal((await ask("rita", `/v1/rounds/${stale}`)).state, "ESCALATED");

step("it is shown as it is by now");
await rita.click(".outbox button:text('Show the round')");
await rita.waitForSelector(`article[data-round="${stale}"] blockquote >> nth=1`);

step("one that changes while it is open is told, too");
await olga.route(
  "**/v1/escalations/*",
  altered((one) => (one.package_digest = old)),
  { times: 1 },
);
await show(olga, stale);
await news(olga, "the digest of what you saw is another");
await press(olga, "a", "1", "Enter");
assert.equal(await olga.isHidden(".outbox"), true);
await olga.click(".news button:text('Show it')");
await olga.waitForSelector(".yours [data-value=APPROVE]:enabled");
await sound(rita);
await sound(olga);
await browser.close();
