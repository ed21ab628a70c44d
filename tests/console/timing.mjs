// How soon a person can do something in a page, for `scripts/bench.sh console`: milliseconds from the start
// of a navigation until what waits is shown and its keys are there, of browsers that have nothing yet.

import { AT, open, until } from "./house.mjs";

const TIMES = 10;
const [name, id] = process.argv.slice(3);
const where = name === "queue" ? "" : `?round=${id}`;

const { browser, context, another } = await open();
const signedIn = await context.request.post(`${AT}/console/session`, { data: { token: "rita" } });
if (!signedIn.ok()) throw new Error(await signedIn.text());
await until("the gateway has read the log", async () => {
  const answer = await context.request.get(`${AT}/v1/escalations?limit=1`);
  return answer.ok();
});
const cookies = await context.cookies();
const told = [];
for (let time = 0; time < TIMES; time += 1) {
  const fresh = await another();
  await fresh.addCookies(cookies);
  const page = await fresh.newPage();
  await page.goto(`${AT}/console/${where}`);
  const ready = await page.waitForFunction(
    () => performance.getEntriesByName("ready")[0]?.startTime,
  );
  told.push(Math.round(await ready.jsonValue()));
  if ((await page.locator("li[data-round], article[data-round]").count()) === 0)
    throw new Error(`nothing is on ${name}`);
  await fresh.close();
}
console.log(JSON.stringify(told));
await browser.close();
