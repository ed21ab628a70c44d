// Signing in: at an issuer's page, by a token, or in `quorate dev` by a name.

import { ask, say } from "./api.js";
import { h } from "./dom.js";

// Why somebody who comes back from the issuer's page is not signed in.
const REFUSED = {
  login_expired: "That took too long, or was begun elsewhere.",
  login_mismatch: "That was the end of another sign-in than the one begun here last.",
  login_refused: "The sign-in was broken off, or refused.",
  issuer_unavailable: "The sign-in page cannot be reached just now.",
  role_missing: "You are known, but nobody has given you a part here.",
  rate_limited: "Too many have tried from where you are; wait a moment.",
  unauthenticated: "What the sign-in page says of you cannot be believed here.",
};

/** The page; `tell` says something, `done` is called once somebody is signed in. */
export async function signIn(main, tell, done) {
  const { by } = await ask("session/ways");
  const shown = by.find((way) => way !== "issuer");
  const given = new URLSearchParams(location.search);
  const why = REFUSED[given.get("refused")];
  given.delete("refused");
  const enter = async () => {
    history.replaceState(null, "", given.size === 0 ? "./" : `?${given}`);
    await done();
  };
  const form = asked(shown, tell, enter);
  const page = by.includes("issuer") ? there(given) : null;
  main.replaceChildren(
    h(
      "div",
      { class: "entrance" },
      h("h1", {}, "Sign in"),
      why ? h("p", { role: "alert" }, why, " You are not signed in.") : null,
      page,
      page ? h("details", {}, h("summary", {}, "By a token"), form) : form,
    ),
  );
  document.querySelector(".who").replaceChildren();
  main.querySelector("a, input").focus();
  // Whoever has signed in in another tab is signed in here as well.
  const come = () => {
    if (!main.contains(form)) document.removeEventListener("visibilitychange", come);
    else if (document.visibilityState === "visible") ask("session").then(enter, () => {});
  };
  document.addEventListener("visibilitychange", come);
}

/** The way to the issuer's page, and back to where somebody is. */
function there(given) {
  const to = given.size === 0 ? "" : `?${new URLSearchParams([["to", `?${given}`]])}`;
  const link = h("a", { class: "go", href: `session/begin${to}` }, "Sign in with your account");
  link.addEventListener("click", () => {
    // What is kept in this page would be lost with it.
    if (!document.querySelector(".outbox").hidden) link.setAttribute("target", "_blank");
    else link.removeAttribute("target");
  });
  return h("p", {}, link);
}

function asked(by, tell, done) {
  const given = h("input", {
    name: by,
    type: by === "name" ? "text" : "password",
    autocomplete: "off",
    required: true,
  });
  const enter = async (event) => {
    event.preventDefault();
    try {
      await say("session", { [by]: given.value });
      tell("");
      await done();
    } catch (error) {
      tell(error.message);
    }
  };
  return h(
    "form",
    { class: "sign-in", onsubmit: enter },
    h("label", {}, by === "name" ? "Your name" : "Your token", given),
    h("button", { type: "submit" }, "Sign in"),
  );
}

/** Signs out, here and at the issuer's page if somebody has signed in there. */
export async function signOut(done) {
  const { then } = await say("session", {}, { method: "DELETE" });
  if (then) location.assign(then);
  else await done();
}
