// The page of a server: signs in, follows the server, and shows what it tells.

import { Refused, ask, askIfAny, follow, ofSite, token } from "./api.js";
import * as chart from "./chart.js";
import * as dialog from "./dialog.js";
import * as differences from "./differences.js";
import { find, hour } from "./dom.js";
import * as lists from "./lists.js";
import * as modules from "./module.js";
import * as versions from "./versions.js";

const FAULTS = 32;
const CHANGES = 256;
/** Times in milliseconds: between two looks at a rollout, and at a server where nothing happens. */
const LOOK = 2_000;
const REST = 30_000;
/** Fewest milliseconds between two looks, for a server of many sites. */
const PAUSE = 300;
/** Longest silence of the streams: one has a sample a second, the other a comment each 15 s. */
const TRAFFIC_SILENCE = 6_000;
const EVENTS_SILENCE = 40_000;
/** A hidden page ends its streams after this time, in milliseconds. */
const HIDDEN = 20_000;

const state = { status: null, sites: [], site: null, versions: [], rollout: null, replay: null, changes: new Map(), faults: [], counts: {} };
const lost = new Map();
let stops = [];
let stopTraffic = () => {};
let timer = null;
let isLooking = false;
let isWanted = false;

const site = () => state.sites.find((one) => one.name === state.site);
const isOfSite = () => find("scope").querySelector("[value=site]").checked;
const ofThis = (change) => (change.site ?? "default") === state.site;

// Sign-in

async function signIn(event) {
  event?.preventDefault();
  if (event) token.set(find("token").value.trim());
  find("sign-in-error").textContent = "";
  try {
    state.status = await ask("/v1/status");
  } catch (refused) {
    signOut(refused.status === 401 ? "The server does not take this token. It takes the one in its file --admin-token." : refused.message);
    return;
  }
  find("token").value = "";
  find("sign-in").hidden = true;
  find("page").hidden = false;
  find("sign-out").hidden = false;
  state.sites = state.status.sites;
  state.site = (state.sites.find((one) => one.rolling_out) ?? state.sites.find((one) => one.name === "default") ?? state.sites[0])?.name;
  find("scope").querySelector(state.sites.length === 1 ? "[value=site]" : "[value=server]").checked = true;
  start();
}

function signOut(why = "") {
  stop();
  token.forget();
  find("page").hidden = true;
  find("sign-out").hidden = true;
  find("sign-in").hidden = false;
  find("about").textContent = "";
  find("connection").textContent = "";
  find("sign-in-error").textContent = why;
  find("token").focus();
}

// Following the server

function start() {
  stop();
  stops.push(follow("/v1/events", EVENTS_SILENCE, tell, (is) => connected("events", is)));
  followTraffic();
  look();
}

function stop() {
  stops.forEach((one) => one());
  stops = [];
  stopTraffic();
  clearTimeout(timer);
  lost.clear();
}

function followTraffic() {
  stopTraffic();
  chart.clear();
  const path = isOfSite() ? ofSite("/v1/traffic", state.site) : "/v1/traffic";
  const sampled = (_, sample) => {
    chart.add(sample);
    // Several come at once at the begin of a stream.
    requestAnimationFrame(chart.draw);
    if (state.rollout) requestAnimationFrame(showVersions);
  };
  stopTraffic = follow(path, TRAFFIC_SILENCE, sampled, (is) => connected("traffic", is));
}

/** Shows whether both streams are connected and, if not, since when. */
function connected(stream, is) {
  if (is instanceof Refused && is.status === 401) return signOut("The server has another token now.");
  const wasLost = lost.size > 0;
  if (is === true) lost.delete(stream);
  else if (!lost.has(stream)) lost.set(stream, { since: new Date(), why: is.message });
  const [first] = lost.values();
  find("connection").className = first ? "bad" : "good";
  const text = first ? `Not connected since ${hour(first.since)}: ${first.why}. What is below may be old.` : "Live";
  if (find("connection").textContent !== text) find("connection").textContent = text;
  document.body.classList.toggle("old", Boolean(first));
  if (wasLost && lost.size === 0) look();
  return undefined;
}

/** Takes an event. */
function tell(name, event, id) {
  if (name === "fault") {
    state.faults = [event, ...state.faults.filter((fault) => fault.id !== event.id)].slice(0, FAULTS);
    state.counts[event.fault] = (state.counts[event.fault] ?? 0) + 1;
    requestAnimationFrame(showFaults);
    return;
  }
  if (name !== "missed") state.changes.set(id, event);
  while (state.changes.size > CHANGES) state.changes.delete(state.changes.keys().next().value);
  showChanges();
  lookSoon(PAUSE);
}

/** Looks again after a time, unless that happens sooner anyway. */
function lookSoon(after) {
  if (isLooking) {
    isWanted = true;
    return;
  }
  clearTimeout(timer);
  timer = setTimeout(look, after);
}

/** Asks for the state of the sites, and shows it. */
async function look() {
  clearTimeout(timer);
  if (isLooking) {
    isWanted = true;
    return;
  }
  [isLooking, isWanted] = [true, false];
  try {
    const chosen = state.site;
    const [status, all, faults] = await Promise.all([ask("/v1/status"), askIfAny(ofSite("/v1/versions", chosen)), ask("/v1/faults")]);
    Object.assign(state, { status, sites: status.sites, faults: faults.recent, counts: faults.counts });
    // What is not there is not asked for: the browser would complain of each 404.
    const isTried = all?.some((version) => version.replayed);
    const isRolled = site()?.rolling_out || [...state.changes.values()].some((one) => one.event === "rollout" && ofThis(one));
    const [rollout, replay] = await Promise.all(
      [isRolled && askIfAny(ofSite("/v1/rollout", chosen)), isTried && askIfAny(ofSite("/v1/replay", chosen))]);
    if (chosen === state.site) Object.assign(state, { versions: all ?? [], rollout: rollout || null, replay: replay || null });
    if (!site() && state.sites.length) choose(state.sites[0].name);
    show();
  } catch (refused) {
    if (refused.status === 401) return signOut("The server has another token now.");
  } finally {
    isLooking = false;
  }
  if (find("page").hidden || document.hidden) return;
  lookSoon(isWanted ? PAUSE + state.sites.length * 2 : site()?.rolling_out ? LOOK : REST);
}

// Showing

function show() {
  const { host_version, urls, uptime_seconds } = state.status;
  const since = new Date(Date.now() - uptime_seconds * 1000);
  const day = since.toDateString() === new Date().toDateString() ? "" : `${since.toLocaleDateString("sv")} `;
  find("about").textContent = `${urls.join(" ")}, version ${host_version}, up since ${day}${since.toTimeString().slice(0, 5)}`;
  // An address with PROXY headers ends in `,proxy`.
  const [url] = (urls[0] ?? location.href).split(",");
  document.title = `host ${new URL(url, location.href).host}`;
  find("sites").hidden = state.sites.length < 2;
  find("scope-site").textContent = `Site ${state.site}`;
  lists.sites(state.sites, state.site, choose);
  lists.certificates(state.status.tls);
  showVersions();
  differences.show(state.rollout, state.replay);
  showFaults();
  showChanges();
}

function showVersions() {
  const changes = [...state.changes.values()].filter(ofThis);
  if (site()) versions.show({ site: site(), versions: state.versions, rollout: state.rollout, changes, shares: chart.shares() });
}

const showFaults = () => lists.faults(state.counts, state.faults);

function showChanges() {
  const all = [...state.changes.values()];
  const ofSiteOnly = isOfSite();
  chart.setMarks(all.filter((one) => !ofSiteOnly || ofThis(one)).map((one) => lists.mark(one, !ofSiteOnly && state.sites.length > 1)).filter(Boolean));
  chart.draw();
  lists.changes(all);
}

/** Chooses a site. */
function choose(name) {
  state.site = name;
  Object.assign(state, { versions: [], rollout: null, replay: null });
  find("scope-site").textContent = `Site ${name}`;
  lists.sites(state.sites, name, choose);
  if (isOfSite()) followTraffic();
  look();
}

find("sign-in").querySelector("form").addEventListener("submit", signIn);
find("sign-out").addEventListener("click", () => signOut());
find("filter").addEventListener("input", () => lists.sites(state.sites, state.site, choose));
find("scope").addEventListener("change", () => {
  followTraffic();
  showChanges();
});
let hidden;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (find("page").hidden) return;
  if (document.hidden) hidden = setTimeout(stop, HIDDEN);
  else if (stops.length === 0) start();
  else look();
});
dialog.begin(look);
modules.begin(() => ({ site: state.site, current: state.versions.find((one) => one.state === "current")?.number }));
chart.begin();
if (token.get() !== null) signIn();
