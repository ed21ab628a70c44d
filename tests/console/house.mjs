// A browser, what goes wrong in it, and what agents say meanwhile. Names' tokens are `token-of-NAME`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** What nothing takes unless something is wrong, in milliseconds. */
export const PATIENCE = 120_000;

/** Where the gateway is. */
export const AT = process.argv[2];

/** Says something as somebody. */
export async function say(name, path, body) {
  const headers = { authorization: `Bearer token-of-${name}`, "content-type": "application/json" };
  const answer = await fetch(AT + path, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

/** Asks for something as somebody. */
export async function ask(name, path) {
  const answer = await fetch(AT + path, { headers: { authorization: `Bearer token-of-${name}` } });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

/** Has a round opened that will be escalated, in a second if nobody answers; its id. */
export async function escalate(subject, more = {}) {
  const proposal = {
    domain: "pay.big",
    confidence: 0.9,
    stakes: "LOW",
    action: { type: "payment.block", subject, parameters: [{ key: "amount", value: "1200" }] },
    ...more,
  };
  const { id } = await say("desk", "/v1/proposals?wait=30", proposal);
  return id;
}

/** Has two experts answer a round so that it is escalated: at once, for one alone would decide it. */
export async function disagree(id) {
  const answers = [
    ["ada", "CHALLENGE", 0.9, "the same payee every month"],
    ["bob", "ENDORSE", 0.6, "the telephone is new"],
  ];
  const said = answers.map(([name, verdict, confidence, reasoning]) =>
    say(name, "/v1/responses", { proposal_id: id, verdict, confidence, reasoning }),
  );
  await Promise.all(said);
}

/** Asks again until the answer will do; the answer. */
export async function until(what, asks) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await asks();
    if (answer) return answer;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Waits until a round is escalated. */
export async function escalated(id) {
  const headers = { authorization: "Bearer token-of-rita" };
  await until(`${id} is escalated`, async () => {
    const answer = await fetch(`${AT}/v1/escalations/${id}`, { headers });
    return answer.ok;
  });
}

/** What a round has come to by its last outcome, once there are as many. */
export async function last(id, count = 2) {
  const outcomes = await until(`${id} has ${count} outcomes`, async () => {
    const { outcomes } = await ask("rita", `/v1/rounds/${id}/outcomes`);
    return outcomes.length >= count && outcomes;
  });
  return outcomes.at(-1).decision;
}

// What is done right now, and every page with what its console says: told where something fails.
let doing = "begin";
const pages = [];

/** Says what is done next. */
export function step(what) {
  doing = what;
}

async function told({ page, said }) {
  const shown = page.isClosed()
    ? "(closed)"
    : await Promise.race([
        page.innerText("body", { timeout: 5000 }).catch(({ message }) => message),
        new Promise((done) => setTimeout(done, 5000, "(does not answer)")),
      ]);
  return [`--- ${page.url()}`, shown, ...said.slice(-40)].join("\n");
}

process.on("uncaughtException", async (error) => {
  console.error(`at "${doing}": ${error.stack ?? error}`);
  for (const page of pages) console.error(await told(page));
  process.exit(1);
});

/**
 * Has pages keep for later whatever they would do in five seconds or more, until `elapse`: so nothing
 * that is held is over before a test has seen it, however busy this machine is.
 */
export async function stopped(context) {
  await context.addInitScript(() => {
    const { setTimeout: soon, clearTimeout: forget } = window;
    const later = new Map();
    window.setTimeout = (does, after = 0, ...given) => {
      if (after < 5000) return soon(does, after, ...given);
      const id = soon(() => {}, 0);
      later.set(id, () => does(...given));
      return id;
    };
    window.clearTimeout = (id) => {
      later.delete(id);
      forget(id);
    };
    window.elapse = () => {
      const due = [...later.values()];
      later.clear();
      for (const does of due) does();
    };
  });
}

/** Has a page do what it has kept for later. */
export const elapse = (page) => page.evaluate(() => window.elapse());

/** Presses keys, one after the other. */
export async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

/** Starts a browser; `watched` has whatever went wrong in its pages. */
export async function open(options = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
  });
  const watched = [];
  /** A browser of somebody else's. */
  const another = async () => {
    const viewport = { width: 1280, height: 900 };
    const context = await browser.newContext({ viewport, ...options });
    context.setDefaultTimeout(PATIENCE);
    // A browser tells of what it was kept from doing.
    await context.addInitScript(() => {
      window.kept = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        window.kept.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    context.on("page", (page) => {
      const said = [];
      pages.push({ page, said });
      page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
      page.on("requestfailed", (request) => {
        said.push(`failed: ${request.method()} ${request.url()} ${request.failure()?.errorText}`);
      });
      page.on("response", (answer) => {
        if (answer.status() >= 400) said.push(`${answer.status()}: ${answer.url()}`);
      });
      page.on("pageerror", (error) => watched.push(`error: ${error.message}`));
      page.on("dialog", (dialog) => {
        watched.push(`dialog: ${dialog.message()}`);
        dialog.dismiss();
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(AT)) watched.push(`elsewhere: ${request.url()}`);
      });
    });
    return context;
  };
  const sound = async (page) => {
    assert.deepEqual(await page.evaluate(() => window.kept), []);
    assert.deepEqual(watched, []);
  };
  return { browser, context: await another(), another, sound };
}

/** Signs somebody in; the page of what waits. */
export async function signIn(context, name) {
  const page = await context.newPage();
  await page.goto(`${AT}/console/`);
  await page.fill("form.sign-in input", `token-of-${name}`);
  await page.press("form.sign-in input", "Enter");
  await page.waitForSelector("h1:text('Needs you')");
  return page;
}

/** What axe finds seriously wrong with a page. */
export async function flaws(page) {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  const { readFileSync } = await import("node:fs");
  // Into the page by the browser itself, which the page's policy does not keep out.
  await page.evaluate(readFileSync(axe, "utf8"));
  const found = await page.evaluate(() => window.axe.run());
  const serious = found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  return serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
}
