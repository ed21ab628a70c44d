// Pictures of every page of a `quorate dev --sample`, at 1280 and 390 pixels, into a folder.
// usage: scripts/node.sh tests/console pictures.mjs URL FOLDER

import { AT, open } from "./house.mjs";

const folder = process.argv[3];
const HEIGHT = 1400;

const { browser, another } = await open();
for (const [width, end] of [
  [1280, ""],
  [390, "-narrow"],
]) {
  const context = await another();
  const page = await context.newPage();
  await page.setViewportSize({ width, height: 900 });
  const shot = async (name) => {
    await page.waitForTimeout(1000);
    const height = Math.min(
      HEIGHT,
      await page.evaluate(() => document.documentElement.scrollHeight),
    );
    await page.setViewportSize({ width, height: Math.max(500, height) });
    await page.screenshot({ path: `${folder}/console-${name}${end}.png` });
    await page.setViewportSize({ width, height: 900 });
  };
  await page.goto(`${AT}/console/`);
  await page.waitForSelector("form.sign-in");
  await shot("sign-in");
  await page.fill("form.sign-in input", "you");
  await page.press("form.sign-in input", "Enter");
  await page.waitForSelector(".queue li");
  const pages = await page.$$eval("nav a", (all) => all.map((one) => [one.dataset.page, one.href]));
  for (const [name, where] of pages) {
    await page.goto(where);
    await page.waitForSelector("main h1");
    await shot(name);
  }
  await page.goto(`${AT}/console/`);
  await page.click(".queue li:last-child a");
  await page.waitForSelector(".yours");
  await shot("decision");
  for (const [name, from, link, at] of [
    ["round", "outcomes", 'main table a[href*="round="]', 0],
    ["agent", "agents", 'main table a[href*="agent"]', 2],
  ]) {
    await page.goto(`${AT}/console/?page=${from}`);
    await page.waitForSelector("main table");
    if ((await page.locator(link).count()) <= at) continue;
    await page.click(`${link} >> nth=${at}`);
    await page.waitForSelector("main article, main section");
    await shot(name);
  }
  await context.close();
}
await browser.close();
