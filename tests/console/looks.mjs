// Pages as axe sees them, dark and light, wide and narrow; with a folder, also as pictures.

import assert from "node:assert/strict";
import {
  AT,
  disagree,
  escalate,
  escalated,
  flaws,
  open,
  press,
  say,
  signIn,
  step,
  stopped,
} from "./house.mjs";

const folder = process.argv[3];
const id = await escalate("payment-1", {
  summary: "block a payment from a telephone not seen before",
});
await disagree(id);
await escalated(id);
const decided = await escalate("payment-2", { domain: "pay.small" });
for (const name of ["ada", "bob"]) {
  await say(name, "/v1/responses?wait=30", {
    proposal_id: decided,
    verdict: "ENDORSE",
    confidence: 0.9,
  });
}
await say("rita", "/v1/decisions", {
  proposal_id: id,
  package_digest: "00".repeat(32),
  verdict: "APPROVE",
});
const critical = await escalate("payment-3", { stakes: "CRITICAL" });
await disagree(critical);
await escalated(critical);

const within = async (page, name) => {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${name} is ${over} pixels too wide`);
};
for (const [width, colorScheme] of [
  [390, "light"],
  [390, "dark"],
  [1280, "light"],
  [1280, "dark"],
  [1920, "light"],
]) {
  const { browser, context, sound } = await open({
    colorScheme,
    viewport: { width, height: 900 },
  });
  await stopped(context);
  const of = (name) => `${name}, ${colorScheme}, ${width}`;
  const seen = async (page, name) => {
    step(`look at ${of(name)}`);
    assert.deepEqual(await flaws(page), [], of(name));
    await within(page, of(name));
    if (folder)
      await page.screenshot({
        path: `${folder}/${name}-${width}-${colorScheme}.png`,
        fullPage: true,
      });
  };
  const first = await context.newPage();
  await first.goto(`${AT}/console/`);
  await first.waitForSelector("form.sign-in");
  await seen(first, "sign-in");
  const page = await signIn(context, "rita");
  for (const [name, where, there] of [
    ["queue", "", `[data-round="${id}"]`],
    ["decision", `?round=${id}`, "form.yours"],
    ["round", `?round=${decided}`, ".timeline"],
    ["outcomes", "?page=outcomes", "table"],
    ["agents", "?page=agents", "table"],
    ["policies", "?page=policies", "details"],
    ["refused", "?page=refused", "table"],
    ["health", "?page=health", ".health li"],
  ]) {
    await page.goto(`${AT}/console/${where}`);
    await page.waitForSelector(there);
    await seen(page, name);
    assert.doesNotMatch(await page.innerText("main"), /\b(null|undefined|NaN)\b/, of(name));
  }
  step(`decide, ${of("decision")}`);
  await page.goto(`${AT}/console/?round=${critical}`);
  await page.waitForSelector("form.yours");
  await press(page, "?");
  await page.waitForSelector("dialog[open]");
  await seen(page, "keys");
  await page.click("dialog button:text('Close')");
  await press(page, "a", "1");
  await seen(page, "chosen");
  await page.evaluate(() => window.scrollTo(0, 10_000));
  await press(page, "Enter");
  await page.waitForSelector(".outbox li");
  await page.waitForSelector(`article[data-round="${id}"]`);
  await page.waitForFunction(() => window.scrollY === 0);
  await seen(page, "held");
  await press(page, "u");
  await page.waitForSelector("[aria-checked=true]");
  await sound(page);
  await browser.close();
}
