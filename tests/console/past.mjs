// A round that is over: every record of it is told, somebody reports how it turned out and corrects that,
// and the agents' pages, the audit and files tell of it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import {
  ask,
  AT,
  escalate,
  escalated,
  flaws,
  last,
  open,
  say,
  signIn,
  step,
  until,
} from "./house.mjs";

const folder = process.argv[3];
const rounds = [];
for (const at of [1, 2, 3]) {
  const id = await escalate(`payment-${at}`, { domain: "pay.small" });
  await say("ada", "/v1/responses?wait=30", {
    proposal_id: id,
    verdict: "ENDORSE",
    confidence: 0.95,
    reasoning: "seen <b>before</b>",
  });
  await say("bob", "/v1/responses?wait=30", {
    proposal_id: id,
    verdict: "ENDORSE",
    confidence: 0.6,
  });
  await last(id, 1);
  rounds.push(id);
}
const [first, second] = rounds;
const waits = await escalate("payment-4");
await escalated(waits);
const { package_digest: seen } = await ask("rita", `/v1/escalations/${waits}`);
await say("rita", "/v1/decisions?wait=30", {
  proposal_id: waits,
  package_digest: seen,
  verdict: "REJECT",
  reason_code: "=1+1",
  rationale: "=HYPERLINK(1)",
});
const closed = async (id) => (await ask("rita", `/v1/rounds/${id}`)).state === "CLOSED";
for (const id of rounds) await until("a round is closed", () => closed(id));

step("somebody who may not see records reports how it turned out");
const { browser, context, another, sound } = await open({ acceptDownloads: true });
const ledger = await signIn(context, "ledger");
await ledger.goto(`${AT}/console/?round=${first}`);
await ledger.waitForSelector(".timeline");
await ledger.check("input[value=RIGHT]");
await ledger.fill("textarea[name=note]", "the customer rang");
await ledger.click("form.result button");
await ledger.waitForSelector("text=It is on record as right");
step("and corrects it");
await ledger.check("input[value=WRONG]");
await ledger.click("form.result button");
await ledger.waitForSelector("text=It is on record as wrong");
await say("ledger", "/v1/results?wait=30", { proposal_id: second, result: "RIGHT" });
await until("trust has moved thrice", async () => {
  const { domains } = await ask("rita", "/v1/agents/ada/trust");
  return domains.length === 1 && domains[0].steps.filter((one) => one.trust !== null).length === 3;
});

step("a reviewer sees every record, and no form");
const people = await another();
const page = await signIn(people, "rita");
await page.goto(`${AT}/console/?round=${first}`);
await page.waitForSelector('.timeline.every [data-topic="results"]');
const told = await page.innerText(".timeline.every");
for (const part of [
  "proposes it",
  "endorses",
  "seen <b>before</b>",
  "results",
  "the customer rang",
])
  assert.ok(told.includes(part), `${part}: ${told}`);
assert.equal(await page.locator('.timeline.every [data-topic="responses"]').count(), 2);
assert.equal(await page.locator("form.result").count(), 0);

step("an agent's page plots each result");
await page.goto(`${AT}/console/?page=agents`);
await page.click('a:has-text("ada")');
await page.waitForSelector(".plot .line");
assert.equal(await page.locator(".plot a circle").count(), 3);
assert.equal(await page.locator(".plot circle.corrected").count(), 1);
await page.locator(".plot a").first().focus();
assert.match(await page.innerText(".plot figcaption >> nth=0"), /turned out right/);
// One of two was right, after the correction, and was called 97.5 % sure.
assert.match(await page.innerText('[aria-label="Calibration"]'), /98 %.*1 of 2: 50 %/s);

step("the audit tells who decided, and files are defused");
await page.goto(`${AT}/console/?page=audit&kind=decision`);
await page.waitForSelector("table");
assert.match(await page.innerText("tbody"), /rita.*rejects/s);
const kept = page.waitForEvent("download");
await page.click('a:has-text("CSV")');
const file = await (await kept).path();
const text = await readFile(file, "utf8");
assert.ok(text.includes('"\'=1+1","\'=HYPERLINK(1)"'), text);
await page.goto(`${AT}/console/?page=outcomes`);
await page.waitForSelector("table");
await page.selectOption("select[name=resolved_by]", "HUMAN");
await page.click('form.filter button:has-text("Show")');
await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);

step("health is told in words, and told again when it is another");
await page.clock.install();
await page.goto(`${AT}/console/?page=health`);
await page.waitForSelector(".health li >> nth=6");
assert.match(await page.innerText(".health"), /The log\s+✓ well\s+read to its end, and followed/);
const failed = { name: "log", state: "FAIL", detail: "it is away", value: null };
await page.route("**/v1/health", (route) => route.fulfill({ json: { checks: [failed] } }));
await page.clock.runFor(15_000);
await page.waitForSelector(".state.fail");
assert.match(await page.innerText("main"), /1 of 1 .*does not work\s+it is away\s+not known/s);
await sound(page);
await browser.close();

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    const { browser, context, sound } = await open({
      colorScheme,
      viewport: { width, height: 900 },
    });
    for (const [name, who, where, there] of [
      ["report", "ledger", `?round=${second}`, "form.result"],
      ["round-told", "rita", `?round=${first}`, ".timeline.every"],
      ["agent", "rita", "?page=agents&agent=ada", ".plot"],
      ["audit", "rita", "?page=audit", "table"],
    ]) {
      step(`${name}, ${colorScheme}, ${width}`);
      const page = await signIn(context, who);
      await page.goto(`${AT}/console/${where}`);
      await page.waitForSelector(there);
      assert.deepEqual(await flaws(page), [], `${name}, ${colorScheme}, ${width}`);
      assert.doesNotMatch(await page.innerText("main"), /\b(null|undefined|NaN)\b/, name);
      const over = await page.evaluate(
        () => document.documentElement.scrollWidth - window.innerWidth,
      );
      assert.ok(over <= 0, `${name} is ${over} pixels too wide for ${width}`);
      if (folder)
        await page.screenshot({
          path: `${folder}/${name}-${width}-${colorScheme}.png`,
          fullPage: true,
        });
      await sound(page);
      await page.context().clearCookies();
      await page.close();
    }
    await browser.close();
  }
}
