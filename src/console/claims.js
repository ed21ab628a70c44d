// Who is at an escalation, so that nobody else begins with it: claimed and given up, and shown.

import { ask, hear, say } from "./api.js";
import { h, text } from "./dom.js";

/** Whether somebody other than `me` is at an escalation. */
export const isOthers = ({ claim }, me) => claim !== null && claim.reviewer !== me;

/** What is shown of the claim to an escalation; null: nobody is at it. */
export function shown({ claim }, me) {
  if (claim === null) return null;
  const until = new Date(claim.until).toLocaleTimeString([], { timeStyle: "short" });
  const isMine = claim.reviewer === me;
  return h(
    "span",
    { class: isMine ? "claim mine" : "claim" },
    isMine ? "claimed by you" : [text(claim.reviewer), " is at it"],
    ` until ${until}`,
  );
}

/** Claims an escalation, or gives it up where `me` has it; the claim that stands then. */
export async function toggle(one, me) {
  const method = one.claim?.reviewer === me ? "DELETE" : "PUT";
  return say(`../v1/escalations/${one.proposal_id}/claim`, {}, { method });
}

/**
 * Has `does` called whenever a claim has changed, and when somebody comes back to the page: browsers have
 * few connections to a house for all its pages together, and those nobody looks at need none for this.
 */
export function heard(query, does, signal) {
  let shown = null;
  const turn = () => {
    shown?.abort();
    shown = document.hidden ? null : new AbortController();
    if (shown) hear(`../v1/escalations${query}`, "Claim", does, shown.signal);
  };
  turn();
  document.addEventListener("visibilitychange", turn, { signal });
  signal.addEventListener("abort", () => shown?.abort());
}

/** Shows in `place` who is at an escalation as long as a page is there; what a key then does. */
export function follow(one, place, house, signal) {
  let now = one;
  const show = (claim) => {
    now = { ...now, claim };
    place.replaceChildren(shown(now, house.me) ?? "");
  };
  show(one.claim);
  const take = ({ data }) => {
    const { proposal_id: id, claim } = JSON.parse(data);
    if (id === one.proposal_id) show(claim);
  };
  // When it begins to tell, or begins again, something may have come meanwhile.
  const look = () =>
    ask(`../v1/escalations/${one.proposal_id}`, {}, signal)
      .then((told) => show(told.claim))
      .catch(house.failed);
  const domain = encodeURIComponent(one.content.proposal.domain);
  const news = (event) => (event.data ? take(event) : look());
  heard(`?domain=${domain}`, news, signal);
  // It is over when it runs out, whether or not anybody says so.
  const timer = setInterval(() => now.claim?.until <= Date.now() && show(null), 5000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return () => toggle(now, house.me).then(show).catch(house.failed);
}
