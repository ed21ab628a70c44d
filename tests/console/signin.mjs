// A person signs in at an issuer's page, which is of another site, and out again; pages of others ask
// for things by that person's session, and put the console into a frame. The issuer is the second argument.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { AT, flaws, open, PATIENCE } from "./house.mjs";

const ISSUER = process.argv[3];
const { browser, context } = await open();
const page = await context.newPage();
// Somebody has planted a session before.
const planted = { name: "quorate_session", value: "planted", url: AT };
await context.addCookies([planted]);

// The way to the issuer's page, and the one by a token beside it, can be read by everybody.
const readable = async () => {
  await page.waitForSelector("a:text('Sign in with your account')");
  for (const isOpen of [false, true]) {
    await page.evaluate((open) => (document.querySelector("main details").open = open), isOpen);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await flaws(page), [], `${page.url()} ${colorScheme} ${isOpen}`);
    }
  }
};
await page.goto(`${AT}/console/?page=agents`);
await readable();
await page.click("a:text('Sign in with your account')");
await page.waitForSelector("h1:text('Agents')");
assert.equal(page.url(), `${AT}/console/?page=agents`);
assert.match(await page.innerText(".who"), /^rita/);
const session = async () => (await context.cookies(AT)).find(({ name }) => name === planted.name);
const given = await session();
assert.notEqual(given.value, planted.value);
assert.deepEqual([given.httpOnly, given.sameSite], [true, "Strict"]);
assert.deepEqual(await page.evaluate(() => window.kept), []);

// Another tab, signed out by then, is signed in as soon as somebody looks at it.
const other = await context.newPage();
await other.route("**/console/session", (route) => route.fulfill({ status: 401, json: {} }));
await other.goto(`${AT}/console/`);
await other.waitForSelector("a:text('Sign in with your account')");
await other.unroute("**/console/session");
await other.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
await other.waitForSelector("h1:text('Needs you')");
await other.close();

// A page of somebody else, of another site (localhost) and of this one (another port of 127.0.0.1).
const evil = createServer((request, response) => {
  response.setHeader("content-type", "text/html");
  response.end(
    request.url === "/frame"
      ? `<iframe src="${AT}/console/" width="800" height="600"></iframe>`
      : `<form method="post" enctype="text/plain" action="${AT}/v1/decisions">
           <input name='{"verdict": "APPROVE", "rationale": "' value='"}'><button>Win</button></form>
         <form method="post" enctype="text/plain" action="${AT}/console/session">
           <input name='{"token": "token-of-op", "odd": "' value='"}'><button>In</button></form>`,
  );
});
await new Promise((done) => evil.listen(0, "127.0.0.1", done));
const { port } = evil.address();
const stranger = await context.newPage();
for (const [host, code] of [
  // Browsers do not send the cookie from elsewhere, and where they do, it is refused all the same.
  ["localhost", "unauthenticated"],
  ["127.0.0.1", "other_origin"],
]) {
  await stranger.goto(`http://${host}:${port}/`);
  const sent = stranger.waitForResponse(`${AT}/v1/decisions`);
  await stranger.click("button:text-is('Win')");
  assert.equal((await (await sent).json()).code, code, host);
  // Nor can anybody be signed in as somebody else by it.
  await stranger.goto(`http://${host}:${port}/`);
  const signed = stranger.waitForResponse(`${AT}/console/session`);
  await stranger.click("button:text-is('In')");
  assert.equal((await (await signed).json()).code, "other_origin", host);
  assert.equal((await session()).value, given.value);
  // A frame around the console stays empty.
  await stranger.goto(`http://${host}:${port}/frame`);
  const framed = () =>
    stranger
      .frames()
      .find((frame) => frame !== stranger.mainFrame())
      ?.url();
  const until = Date.now() + PATIENCE;
  while (!framed()?.startsWith("chrome-error:")) {
    assert.ok(Date.now() < until, `${host}: ${framed()}`);
    await stranger.waitForTimeout(50);
  }
}
await stranger.close();
evil.close();

// Whoever comes back from nowhere is told so, and can begin anew.
await page.click("text=Sign out");
await page.waitForURL(`${AT}/console/`);
await page.waitForSelector("a:text('Sign in with your account')");
assert.equal(await session(), undefined);
await page.goto(`${AT}/console/session/callback?code=a&state=b`);
await page.waitForSelector("[role=alert]:text('begun elsewhere')");
assert.equal(page.url(), `${AT}/console/?refused=login_expired`);
await readable();
await page.click("a:text('Sign in with your account')");
await page.waitForSelector("h1:text('Needs you')");
assert.ok(!page.url().includes("refused"), page.url());
assert.ok(!ISSUER.startsWith(AT));
await browser.close();
