// What is asked of the gateway. Every answer is JSON, every refusal problem details with a code.

const JSON_KIND = "application/json";

/** Why something was not done. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the gateway answered ${status}`);
    this.status = status;
    this.code = problem.code ?? "unknown";
  }
}

/** The gateway could not be reached. */
export class Away extends Error {}

const lost = (error) =>
  error.name === "AbortError" ? error : new Away("the gateway cannot be reached");

async function answered(path, options) {
  return (await exchanged(path, options)).body;
}

async function exchanged(path, options) {
  let response;
  let written;
  try {
    response = await fetch(path, options);
    written = await response.text();
  } catch (error) {
    throw lost(error);
  }
  const tag = response.headers.get("etag");
  if (response.status === 204 || response.status === 304) return { body: null, tag };
  let body = {};
  try {
    body = JSON.parse(written);
  } catch (error) {
    // What stands between may refuse in other words.
    if (response.ok) throw lost(error);
  }
  if (!response.ok) throw new Refusal(response.status, body);
  return { body, tag };
}

const asked = (path, query) => {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  const parameters = new URLSearchParams(given).toString();
  return parameters === "" ? path : `${path}?${parameters}`;
};

// What was asked for before anybody needed it.
const ahead = new Map();

/** Asks for something ahead of whoever will: whoever asks for it first gets this answer. */
export function foresee(path, query = {}) {
  const answer = answered(asked(path, query), { headers: { accept: JSON_KIND } });
  // Whoever gets it hears of it; nobody else has to.
  answer.catch(() => {});
  ahead.set(asked(path, query), answer);
}

/** Asks for something; `query` without what is null or empty. */
export async function ask(path, query = {}, signal = undefined) {
  const where = asked(path, query);
  const answer = ahead.get(where);
  ahead.delete(where);
  if (answer === undefined) return answered(where, { headers: { accept: JSON_KIND }, signal });
  const given = await answer;
  signal?.throwIfAborted();
  return given;
}

/**
 * Asks for something that one may have: it as it is now, and its tag, to be given the next time; null as
 * what it is where it is what `tag` was told with, or null.
 */
export const askAgain = (path, tag, signal) =>
  exchanged(path, {
    headers: tag === null ? { accept: JSON_KIND } : { accept: JSON_KIND, "if-none-match": tag },
    signal,
  });

/** Says something; `keepalive` has it go out even if the page is closed meanwhile. */
export async function say(path, body, { method = "POST", keepalive = false } = {}) {
  const headers = { "content-type": JSON_KIND, accept: JSON_KIND };
  return answered(path, { method, headers, body: JSON.stringify(body), keepalive });
}

/**
 * Has `does` called whenever the gateway tells of a record of this kind, until it is not needed, and
 * when it begins to, or begins again, as something may have come meanwhile. A page nobody sees hears
 * nothing: a browser has few connections to a gateway, for all of its pages together.
 */
export function hear(path, kind, does, signal) {
  let source = null;
  const close = () => {
    source?.close();
    source = null;
  };
  const turn = () => {
    if (document.hidden) close();
    else if (source === null) {
      source = new EventSource(path);
      source.addEventListener("open", does);
      source.addEventListener(kind, does);
    }
  };
  document.addEventListener("visibilitychange", turn, { signal });
  signal.addEventListener("abort", close);
  turn();
}

/** An id for a record: random, so that to send it again changes nothing. */
export const newId = () => crypto.randomUUID();
