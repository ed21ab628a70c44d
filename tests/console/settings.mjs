// What the house has set for a domain: a link of its own, reasons of its own, and that what agents came to
// is hidden until a reviewer has chosen; keys as the house has them, and as somebody wants them instead.

import assert from "node:assert/strict";
import {
  AT,
  disagree,
  elapse,
  escalate,
  escalated,
  flaws,
  last,
  open,
  press,
  signIn,
  step,
  stopped,
} from "./house.mjs";

const { browser, context, sound } = await open();
await stopped(context);
const page = await signIn(context, "rita");
const rounds = [];
for (const subject of ["file 7/../8?", "..", "payment-3"]) {
  const id = await escalate(subject);
  await disagree(id);
  rounds.push(id);
}
for (const id of rounds) await escalated(id);
const [first, dots, third] = rounds;
const show = async (id) => {
  await page.goto(`${AT}/console/?round=${id}`);
  await page.waitForSelector("form.yours");
};

step("the house's own link, whatever the subject is");
await show(first);
assert.equal(
  await page.getAttribute("a.file", "href"),
  "https://files.bank.example/payments/file%207%2F..%2F8%3F?from=quorate",
);
await show(dots);
assert.equal(await page.locator("a.file").count(), 0, "dots would lead elsewhere");

step("what agents came to is hidden until a verdict is chosen");
await show(third);
const lean = [
  ".weights",
  ".confidences",
  "text=Without",
  "text=that it is good",
  "th:text('weight')",
];
for (const one of lean) assert.equal(await page.locator(`article >> ${one}`).count(), 0, one);
assert.match(await page.innerText("article"), /ada\s+challenges/);
for (const colorScheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme });
  assert.deepEqual(await flaws(page), [], colorScheme);
}
await press(page, "y");
for (const one of [".weights", ".confidences", "text=that it is good", "th:text('weight')"])
  await page.waitForSelector(`article >> ${one}`);
await press(page, "r");
assert.deepEqual(
  await page
    .locator("[aria-label=Reason] [role=radio]")
    .evaluateAll((all) => all.map((one) => one.dataset.value)),
  ["payee_known", "amount_usual"],
);

step("keys: as the house has them, and others for this browser");
await press(page, "?");
await page.waitForSelector("dialog.help[open]");
const field = page.getByLabel("Key: reject");
assert.equal(await page.getByLabel("Key: approve").inputValue(), "y");
await field.fill("y");
await field.press("Tab");
await page.waitForSelector("dialog [role=alert]:has-text('y is for: approve')");
assert.equal(await field.inputValue(), "r");
await field.fill("x");
await field.press("Tab");
await page.waitForFunction(() => localStorage.getItem("quorate.keys") === '{"reject":"x"}');
await page.click("dialog button:text('Close')");
await page.waitForSelector("dialog.help", { state: "hidden" });
await page.waitForSelector(".yours [data-value=REJECT] kbd:text('x')");
await page.reload();
await page.waitForSelector(".yours [data-value=REJECT] kbd:text('x')");
// The old one does nothing any more.
await press(page, "r", "1", "Enter");
assert.equal(await page.locator("[role=radio][aria-checked=true]").count(), 0);
await press(page, "x", "2", "Enter");
await page.waitForSelector(".outbox li:has-text('not yet sent')");
await elapse(page);
await page.waitForSelector(".outbox li:has-text('decided')");
assert.equal((await last(third)).status, "REJECTED");
await sound(page);
await browser.close();
