// The dialog that asks whether a change is meant, orders it, and shows what came of it.

import { find } from "./dom.js";

export const STATES = {
  shadow: "gets copies of requests", canary: "goes on", paused: "is paused", stopped: "has stopped",
  published: "is done", rejected: "was rejected", over: "is over",
};

/** Looks at the server again. */
export let looked = () => {};

/** Begins: `look` is called behind each change. */
export function begin(look) {
  looked = look;
  find("dialog-no").addEventListener("click", () => find("dialog").close());
}

/** Asks whether a change is meant, and orders it with `send`. Calls `done` when it was carried out. */
export function confirm({ name, title, text, send, done = () => {} }) {
  const [dialog, yes, no, outcome] = ["dialog", "dialog-yes", "dialog-no", "dialog-outcome"].map(find);
  find("dialog-title").textContent = title;
  find("dialog-text").textContent = text;
  outcome.textContent = "";
  outcome.className = "";
  yes.textContent = name;
  yes.hidden = false;
  yes.disabled = false;
  no.textContent = "Cancel";
  yes.onclick = async () => {
    yes.disabled = true;
    no.textContent = "Close";
    outcome.textContent = "The server is at work on it.";
    outcome.className = "quiet";
    try {
      outcome.textContent = said(await send());
      outcome.className = "good";
      done();
    } catch (refused) {
      outcome.textContent = refused.message;
      outcome.className = "bad";
    }
    yes.hidden = true;
    no.focus();
    looked();
  };
  dialog.showModal();
  no.focus();
}

/** Says what came of an order. */
function said(reply) {
  const { outcome, version, state } = reply;
  if (outcome === "serving") return `Version ${version} answers all requests.`;
  if (outcome === "unchanged") return `Version ${version} was current already.`;
  if (outcome === "rolling_out") return `The rollout of version ${version} has begun.`;
  if (outcome === "rollout_ended") return `The rollout of version ${version} has ended; version ${reply.serving} answers all requests.`;
  if (state) return `The rollout of version ${version} ${STATES[state] ?? state}.`;
  return `Version ${reply.serving} answers all requests.`;
}
