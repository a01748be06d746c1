// The versions of a site, its rollout, and the buttons that change which version answers. Each
// button says what will happen, and sends the numbers that it shows: the server changes nothing if
// others are true by then.

import { ofSite, order } from "./api.js";
import { STATES, confirm, looked } from "./dialog.js";
import { bytes, clock, count, el, fill, find, number } from "./dom.js";

const SHOWN = 8;
const NAMES = {
  candidate: "is prepared", rollout: "candidate", current: "current", draining: "drains", retired: "kept", rejected: "rejected",
};
const KINDS = {
  same: "same", newly_faulting: "newly failing", different: "different", another_fault: "failing in another way",
  mended: "mended", both_fault: "failing as before", accepted: "accepted", not_compared: "not compared",
};

/** Sites whose whole list is shown. */
const whole = new Set();

/** Returns a button that orders a change. */
function button(key, name, title, text, send, kind) {
  return el("button", { type: "button", class: kind, "data-key": key, click: () => confirm({ name, title, text, send }) }, name);
}

/** Says how many requests were of which kind. */
export function kinds(counts) {
  const found = Object.entries(KINDS).filter(([kind]) => counts[kind] > 0);
  return found.length ? found.map(([kind, name]) => `${number(counts[kind])} ${name}`).join(", ") : "none";
}

/** Shows the versions and the rollout of a site. */
export function show({ site, versions, rollout, changes, shares }) {
  const isGoing = rollout && ["shadow", "canary", "paused", "stopped"].includes(rollout.state);
  const current = versions.find((version) => version.state === "current");
  const measured = versions.length > 1 ? Object.fromEntries([...shares].map(([of, share]) => [of, Math.round(share * 100)])) : {};
  const published = Object.fromEntries(changes.filter((one) => one.event === "serving").map((one) => [one.version, one]));
  fill(find("versions-body"), [site, versions, rollout, measured, published, whole.has(site.name)], () => [
    place(site),
    sentence(current, versions, isGoing ? rollout : null),
    isGoing ? rolling(site, rollout) : ended(rollout),
    list(site, versions, current, isGoing ? rollout : null, measured, published),
  ]);
}

function place(site) {
  const hosts = site.hosts.length ? site.hosts.join(", ") : "all hosts";
  return el("p", { class: "quiet" }, `Site ${site.name}: ${hosts}, path ${site.path}`);
}

/** Says which version answers, with a bar of the shares. */
function sentence(current, versions, rollout) {
  if (!current) return null;
  const share = rollout?.share ?? versions.find((version) => version.state === "rollout")?.share;
  if (!share) return el("p", {}, el("strong", {}, `Version ${current.number}`), " answers all requests.");
  const part = Number.parseFloat(share);
  return [
    el("p", {}, el("strong", {}, `Version ${current.number}`), ` answers ${number(100 - part)}% of the clients, `,
      el("strong", {}, `version ${rollout.version}`), ` answers ${share}.`),
    el("progress", { max: 100, value: part, "aria-label": `Share of the clients that version ${rollout.version} answers` }),
  ];
}

/** Shows the rollout in progress, with its buttons. */
function rolling(site, rollout) {
  const { version, serving, state, plan, step, share } = rollout;
  const steps = plan.steps === "off" ? [] : plan.steps.split(",");
  const send = (what) => () => order(ofSite(`/v1/rollout/${what}`, site.name, { version }));
  const what = steps.length ? "rollout" : "shadow";
  const act = (name, does, kind, path) => el("li", {},
    button(`${path} ${version}`, name, `${name} the ${what} of version ${version}?`, does, send(path), kind), el("span", { class: "quiet" }, does));
  const now = step ? `Step ${step} of ${steps.length}: version ${version} answers ${share} of the clients` : `Version ${version} gets copies of requests, and answers none`;
  const held = state === "shadow" || !step ? plan.shadow : plan.hold;
  const stays = step ? `The share of version ${version} stays at ${share}, and the step does not end.` : `Version ${version} goes on to get copies, and no step begins.`;
  return el("div", { class: "rollout", "data-key": `rollout ${version}` },
    el("h3", {}, `The ${what} of version ${version} ${STATES[state]}`),
    el("ol", { class: "steps", "aria-label": "Steps of the rollout" },
      plan.shadow === "0s" ? null : el("li", { "aria-current": step ? null : "step" }, "shadow"),
      steps.map((each, index) => el("li", { "aria-current": index + 1 === step ? "step" : null, class: index + 1 < step ? "done" : null }, each)),
      steps.length ? el("li", {}, "all") : null),
    el("p", {}, `${now}, since ${rollout.phase_seconds} s of ${held}. It answered ${count(rollout.served, "request")}, of which ${number(rollout.failed)} failed.`),
    rollout.cause ? el("p", { class: "bad" }, rollout.cause) : null,
    el("p", {}, `Evidence that it fails more often than version ${serving}: ${number(rollout.evidence.evidence)} of ${number(rollout.evidence.limit)}, at which it is rejected.`),
    el("ul", { class: "actions" },
      steps.length ? act("Promote", `Version ${version} will answer all requests now, without the steps that are left; version ${serving} stays kept.`, "main", "promote") : null,
      state === "paused" || state === "stopped"
        ? act("Resume", step ? `Step ${step} begins anew with ${share} of the clients.` : "The shadow begins anew.", null, "resume")
        : act("Pause", stays, null, "pause"),
      act("Abort", `Version ${serving} will answer all requests now; version ${version} is rejected.`, "danger", "abort")));
}

/** Says what has become of the latest rollout. */
function ended(rollout) {
  if (!rollout) return null;
  return el("p", { class: rollout.state === "rejected" ? "bad" : "quiet" },
    `The latest rollout, of version ${rollout.version}, ${STATES[rollout.state]}${rollout.cause ? `: ${rollout.cause}` : "."}`);
}

function list(site, versions, current, rollout, measured, published) {
  const newest = [...versions].reverse();
  const isLong = newest.length > SHOWN && !whole.has(site.name);
  // What can answer again is always shown.
  const shown = isLong ? newest.filter((version, index) => index < SHOWN || version.state !== "rejected") : newest;
  const all = () => {
    whole.add(site.name);
    looked();
  };
  return [
    el("ul", { class: "versions" }, shown.map((version) => row(site, version, current, rollout, measured, published[version.number]))),
    shown.length < newest.length ? el("button", { type: "button", "data-key": "all", click: all }, `Show all ${newest.length} versions`) : null,
  ];
}

function row(site, version, current, rollout, measured, serving) {
  const { number: of, state, share } = version;
  const part = state === "rollout" && share ? share : state === "current" ? (rollout?.share ? `${number(100 - Number.parseFloat(rollout.share))}%` : "100%") : null;
  const seen = ["current", "rollout", "draining"].includes(state) ? measured[of] : undefined;
  const facts = [
    el("span", { class: "origin" }, version.origin), ` ${bytes(version.size)}, sha256 `, el("code", {}, version.sha256.slice(0, 12)),
  ];
  return el("li", { class: state, "data-key": `version ${of}`, "data-version": of },
    el("h3", {}, `${of} `, el("span", { class: "state" }, NAMES[state] ?? state), part ? el("span", { class: "share" }, ` ${part}`) : null),
    el("p", {}, facts),
    el("p", { class: "quiet" },
      serving
        ? [serving.how === "rollback" ? "serves again since " : "published at ", clock(serving.time), ` by ${serving.by}`]
        : version.time === "-" ? "from the start" : ["prepared at ", clock(version.time)],
      version.replaced ? `, replaced ${version.replaced}` : null,
      version.replayed ? `; recent requests: ${kinds(version.replayed)}` : null,
      seen === undefined ? null : `; answered ${seen}% of the requests of the last 10 s`),
    version.reason ? el("p", { class: "bad" }, version.reason) : null,
    ["retired", "draining"].includes(state) && current ? rollback(site, of, current.number, rollout) : null);
}

function rollback(site, to, from, rollout) {
  const ends = rollout ? ` The rollout of version ${rollout.version} ends.` : "";
  const does = `Version ${to} will answer all requests again; version ${from} stays kept.${ends}`;
  const send = () => order(ofSite("/v1/rollback", site.name), { "if-match": `"${from}"` }, { version: to });
  return el("div", { class: "action" },
    button(`rollback ${to}`, `Roll back to ${to}`, `Roll back to version ${to}?`, does, send), el("span", { class: "quiet" }, does));
}
