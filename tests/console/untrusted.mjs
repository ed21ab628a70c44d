// What anybody writes is shown and does nothing: markup, scripts, addresses, hidden and turned text, names
// that look like others, in every field of every record that takes any, on every page.

import assert from "node:assert/strict";
import { ask, AT, escalate, escalated, open, say, signIn, step } from "./house.mjs";

// The same that agents and policies are named by.
const PAYLOADS = JSON.parse(process.env.PAYLOADS);
const every = PAYLOADS.join(" | ");

const { browser, context, sound } = await open();
const page = await signIn(context, "rita");
const proposal = {
  summary: every,
  rationale: every,
  supersedes: every,
  labels: [{ key: every, value: every }],
  action: {
    type: "payment.block",
    subject: every,
    parameters: PAYLOADS.map((one) => ({ key: one, value: one })),
  },
};
const opened = async () => {
  const id = await escalate(every, proposal);
  for (const [name, verdict] of [
    ["ada", "CHALLENGE"],
    ["bob", "ENDORSE"],
    ["double", "CHALLENGE"],
  ]) {
    await say(name, "/v1/responses", {
      proposal_id: id,
      verdict,
      confidence: 0.9,
      reasoning: every,
      evidence: PAYLOADS.slice(0, 8),
    });
  }
  await escalated(id);
  return id;
};
step("rounds are opened, and answered");
const waits = await opened();
const closed = await opened();
step("one is claimed, by somebody of such a name");
const claimed = await fetch(`${AT}/v1/escalations/${waits}/claim`, {
  method: "PUT",
  headers: { authorization: "Bearer token-of-stranger" },
});
assert.equal((await claimed.json()).reviewer, every);
step("one is decided, and its result is told");
const { package_digest } = await ask("rita", `/v1/escalations/${closed}`);
await say("rita", "/v1/decisions?wait=30", {
  proposal_id: closed,
  package_digest,
  verdict: "REJECT",
  reason_code: every,
  rationale: every,
});
await say("ledger", "/v1/results?wait=30", { proposal_id: closed, result: "WRONG", note: every });
step("others are refused, with words that quote them");
const action = { type: every, subject: every };
await say("desk", "/v1/proposals", { domain: every, confidence: 0.9, action });
await say("desk", "/v1/proposals", { domain: "pay.big", confidence: 0.9, action, labels: [] });
await say("rita", "/v1/decisions", {
  proposal_id: waits,
  package_digest: "00".repeat(32),
  verdict: "REJECT",
  reason_code: every,
  rationale: every,
});

/** Nothing of it has run, and no markup was made of it. */
async function isHarmless() {
  assert.equal(await page.evaluate(() => window.ran), undefined);
  const made = await page.evaluate(
    () =>
      document.querySelectorAll(
        "main script, main img, main iframe, main a[href^=javascript], main [onerror], main [onload]",
      ).length,
  );
  assert.equal(made, 0);
  assert.equal(await page.locator("h1:text-is('APPROVED')").count(), 0);
}

/** It is shown as it was written, and what cannot be seen, or looks like another, with its number. */
async function isShown(part) {
  const shown = await part.textContent();
  assert.ok(shown.includes("<script>window.ran = 1; alert(1)</script>"), shown);
  for (const number of ["202E", "200B", "E0061", "001B", "FEFF", "0430", "1D5BA"]) {
    const boxes = part.locator(`.hidden-character:text-is("${number}")`);
    assert.ok((await boxes.count()) > 0, `${number} in ${shown}`);
  }
}

// Where they are told, and what is there once all of it is.
const PAGES = [
  ["", `[data-round="${waits}"]`, true],
  [`?round=${waits}`, "form.yours", true],
  [`?round=${closed}`, ".timeline", true],
  ["?page=outcomes", "table", false],
  ["?page=agents", "table", true],
  [`?page=agents&agent=${encodeURIComponent("\u0430da")}`, "main h2", true],
  ["?page=audit", "table", true],
  ["?page=policies", "details", true],
  ["?page=refused", "table", false],
  ["?page=health", ".health li", false],
];
// Where a part of a page tells it that others could hide.
const PARTS = {
  "": ".queue .claim",
  [`?round=${waits}`]: ".claimed",
  "?page=audit": "tr:has-text('claims it') td >> nth=0",
};
for (const [where, there, shows] of PAGES) {
  step(`look at ${where}`);
  await page.goto(`${AT}/console/${where}`);
  await page.waitForSelector(there);
  await page.evaluate(() => {
    for (const one of document.querySelectorAll("main details")) one.open = true;
    for (const one of document.querySelectorAll("main .more button, main .prose button"))
      one.click();
  });
  await page.waitForLoadState("networkidle");
  await isHarmless();
  if (PARTS[where]) await isShown(page.locator(PARTS[where]));
  if (!shows) continue;
  await isShown(page.locator("main"));
}

step("what health says is told by the gateway, and is no more than text either");
const ill = {
  name: every,
  state: every,
  detail: every,
  value: { codes: { [every]: 1 }, lag: [{ topic: every, partition: every, behind: 1 }] },
};
await page.route("**/v1/health", (route) => route.fulfill({ json: { checks: [ill] } }));
await page.goto(`${AT}/console/?page=health`);
await page.waitForSelector(".health li");
await isHarmless();
await isShown(page.locator(".health li"));
await page.unroute("**/v1/health");

step("what is written as it should be is left as it is");
await page.goto(`${AT}/console/?round=${waits}`);
const plain = ["naïve café", "Это обычный текст рос", "Ελληνικά", "普通の文 ＡＢ！"];
const marked = await page.evaluate(async (all) => {
  const { text } = await import(new URL("./dom.js", location.href).pathname);
  return all.map((one) => text(one).querySelectorAll(".hidden-character").length);
}, plain);
assert.deepEqual(marked, [0, 0, 0, 2]);
await sound(page);
await browser.close();
