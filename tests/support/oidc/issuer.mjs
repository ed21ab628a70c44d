// An issuer of tokens (OpenID Connect) that does as it is told, a JSON value a line on standard
// input: `mint` a token, `rotate` its keys, go `away` and come `back`, `count` who asked for keys; have
// a `person` sign in at its page; tell what was `shown` with the last code.
// Answers each with a line of JSON; the first line is its address. Ends with its standard input.
import { createHmac, createPublicKey } from "node:crypto";
import { createInterface } from "node:readline";
import { SignJWT, importJWK } from "jose";
import { OAuth2Server } from "oauth2-mock-server";

const host = "127.0.0.1";
const signers = new Map();
let server, port, times = 0, person = {}, shown = null;

async function start(algorithms) {
  server = new OAuth2Server();
  for (const algorithm of algorithms) {
    const key = await server.issuer.keys.generate(algorithm);
    signers.set(algorithm, key);
  }
  const count = server.issuer.keys.toJSON.bind(server.issuer.keys);
  server.issuer.keys.toJSON = (...all) => { times += 1; return count(...all); };
  server.service.on("beforeTokenSigning", ({ payload }) => lay(payload, person.claims ?? {}));
  server.service.on("beforeResponse", (answer, { body, headers }) => {
    shown = { ...body, authorization: headers.authorization ?? null };
    if (person.answer) Object.assign(answer, person.answer);
  });
  server.service.on("beforeAuthorizeRedirect", ({ url }) => {
    for (const [name, value] of Object.entries(person.brings ?? {})) url.searchParams.set(name, value);
  });
  await server.start(port, host);
  port = server.address().port;
}

// Claims laid over others; null takes one away.
function lay(said, claims) {
  Object.assign(said, claims);
  for (const [name, value] of Object.entries(said)) if (value === null) delete said[name];
  return said;
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// A token as its maker wants it: claims are laid over sound ones.
async function mint({ alg = "RS256", claims = {}, header = {}, forged }) {
  const now = Math.floor(Date.now() / 1000);
  const said = lay({ iss: server.issuer.url, iat: now, exp: now + 600 }, claims);
  const jwk = signers.get(alg) ?? signers.get("RS256");
  const head = { alg, kid: jwk.kid, ...header };
  if (head.kid === null) delete head.kid;
  const body = `${part(head)}.${part(said)}`;
  if (forged === "none") return `${part({ ...head, alg: "none" })}.${part(said)}.`;
  if (forged === "public key as secret") {
    const mac = `${part({ ...head, alg: "HS256" })}.${part(said)}`;
    const { n, e, kty } = jwk;
    const pem = createPublicKey({ key: { n, e, kty }, format: "jwk" });
    const secret = pem.export({ type: "spki", format: "pem" });
    return `${mac}.${createHmac("sha256", secret).update(mac).digest("base64url")}`;
  }
  if (forged === "unsigned") return `${body}.${Buffer.alloc(256).toString("base64url")}`;
  const signed = new SignJWT(said).setProtectedHeader(head);
  return await signed.sign(await importJWK(jwk, alg), { crit: { odd: false } });
}

const tells = {
  mint,
  rotate: async ({ algorithms }) => { await server.stop(); await start(algorithms); return true; },
  away: async () => { await server.stop(); return true; },
  back: async () => { await server.start(port, host); return true; },
  person: async (who) => { person = who; return true; },
  shown: async () => shown,
  count: async () => times,
};

await start(process.argv.slice(2));
console.log(JSON.stringify(server.issuer.url));
for await (const line of createInterface({ input: process.stdin })) {
  const { tell, ...rest } = JSON.parse(line);
  console.log(JSON.stringify(await tells[tell](rest)));
}
process.exit(0);
