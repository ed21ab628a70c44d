// An operator suspends an agent while a round runs, and a policy, and resumes both; who is none is not
// shown how.

import assert from "node:assert/strict";
import { ask, AT, escalate, escalated, flaws, open, say, signIn } from "./house.mjs";

const { browser, context, sound } = await open();
const page = await signIn(context, "op");
// It waits until everybody was heard.
const id = await escalate("payment-1", { domain: "pay.out" });
const said = { proposal_id: id, confidence: 0.9, reasoning: "it is odd" };
await say("ada", "/v1/responses?wait=30", { ...said, verdict: "CHALLENGE" });

await page.goto(`${AT}/console/?page=agents`);
const ada = page.locator("tr", { has: page.locator("th:has-text('ada')") });
await ada.locator("button:text('Suspend')").click();
await page.waitForSelector("dialog.sure[open]");
// Keys of the page do nothing behind it.
await page.keyboard.press("Tab");
await page.keyboard.press("q");
assert.match(page.url(), /page=agents/);
// Nothing is done without a reason, nor if it is left.
await page.click("dialog button:text('Suspend it')");
assert.equal((await ask("op", "/v1/agents/ada")).status, "ACTIVE");
await page.click("dialog button:text('Leave it')");
await page.waitForSelector("dialog.sure", { state: "detached" });
await ada.locator("button:text('Suspend')").click();
await page.fill("dialog textarea", "device ids are wrong since the update");
assert.deepEqual(await flaws(page), []);
await page.click("dialog button:text('Suspend it')");
await ada.locator("strong:text('suspended')").waitFor();
await say("bob", "/v1/responses?wait=30", { ...said, verdict: "ENDORSE" });
await escalated(id);
const { outcomes } = await ask("op", `/v1/rounds/${id}/outcomes`);
const ballot = outcomes[0].decision.ballots.find((one) => one.agent_id === "ada");
assert.deepEqual([ballot.weight, ballot.reason], [0, "suspended"]);
await ada.locator("button:text('Resume')").click();
await page.click("dialog button:text('Resume it')");
await ada.locator("button:text('Suspend')").waitFor();
assert.equal((await ask("op", "/v1/agents/ada")).status, "ACTIVE");

await page.goto(`${AT}/console/?page=policies`);
const pay = page.locator("details.policy", { has: page.locator("bdi:text-is('pay')") });
await pay.locator("summary").click();
await pay.locator("button:text('Suspend')").click();
await page.fill("dialog textarea", "rules are looked through");
await page.click("dialog button:text('Suspend it')");
await pay.locator("summary:has-text('suspended')").waitFor();
await pay.locator("summary").click();
await pay.locator("button:text('Resume')").click();
await page.click("dialog button:text('Resume it')");
await pay.locator("summary:has-text('live')").waitFor();
await sound(page);

const elsewhere = await open();
const rita = await signIn(elsewhere.context, "rita");
await rita.goto(`${AT}/console/?page=agents`);
await rita.waitForSelector("th:has-text('ada')");
assert.equal(await rita.locator("button:text('Suspend')").count(), 0);
await elsewhere.sound(rita);
await elsewhere.browser.close();
await browser.close();
