// Lists: the sites, the latest faults, and the latest changes.

import { clock, count, el, fill, find, number } from "./dom.js";

const SITES = 50;
const CHANGES = 40;
/** Days before the end of a certificate from which on it is marked, as the log warns. */
const CERTIFICATE_DAYS = 21;
const CHANGED = {
  begun: "has begun", continued: "goes on after a restart", step: "goes on", paused: "is paused", stopped: "has stopped",
  resumed: "goes on again", published: "is done", rejected: "has ended", over: "is over",
};

/** Shows the sites that the filter finds. */
export function sites(all, chosen, choose) {
  const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (site) => [site.name, ...site.hosts, site.path].join(" ").toLowerCase();
  const found = all.filter((site) => words.every((word) => text(site).includes(word)));
  // What changes now comes first.
  found.sort((one, other) => Boolean(other.rolling_out) - Boolean(one.rolling_out));
  const shown = found.slice(0, SITES);
  const facts = shown.map(({ name, hosts, path, serving, rolling_out }) => [name, hosts, path, serving.number, rolling_out]);
  fill(find("sites-list"), [facts, chosen], () => shown.map((site) => el("li", {},
    el("button", {
      type: "button", "data-key": site.name, "aria-current": site.name === chosen ? "true" : null, click: () => choose(site.name),
    },
    el("span", { class: "name" }, site.name),
    el("span", { class: "quiet" }, ` version ${site.serving.number}`),
    site.rolling_out ? el("span", { class: "share" }, ` ${site.rolling_out.version}: ${site.rolling_out.share ?? "shadow"}`) : null,
    el("span", { class: "quiet where" }, [site.hosts.join(", ") || "all hosts", site.path].join(" "))))));
  find("sites-more").textContent = found.length === shown.length
    ? `${number(found.length)} of ${number(all.length)}`
    : `The first ${SITES} of ${number(found.length)} are shown; the filter finds others.`;
}

/** Shows the certificates that new connections get, the one that ends first at the top. */
export function certificates(tls) {
  find("certificates").hidden = !tls;
  if (!tls) return;
  const days = (one) => Math.floor((Date.parse(one.not_after) - Date.now()) / 86_400_000);
  const ending = [...tls.certificates].sort((one, other) => Date.parse(one.not_after) - Date.parse(other.not_after));
  const left = ending.map(days);
  const failed = (tls.orders ?? []).filter((order) => order.cause);
  find("certificates").classList.toggle("urgent", Boolean(tls.refused) || failed.length > 0 || left.some((days) => days < CERTIFICATE_DAYS));
  fill(find("certificates-body"), [tls, left], () => [
    tls.refused ? el("p", { class: "bad" }, `The files are refused, so these go on: ${tls.refused}`) : null,
    failed.map((order) => el("p", { class: "bad", "data-key": order.domain },
      `No certificate was got for ${order.domain} by ACME; next attempt `, clock(order.next), `: ${order.cause}`)),
    el("ul", {}, ending.map((one, at) => el("li", { "data-key": one.file },
      el("strong", {}, one.names.join(", ")), ` until ${one.not_after.slice(0, 10)}, `,
      el("span", { class: left[at] < CERTIFICATE_DAYS ? "bad" : "quiet" }, left[at] < 0 ? "expired" : count(left[at], "day")),
      el("span", { class: "quiet" }, ` ${one.file}`)))),
  ]);
}

/** Shows the latest faults. */
export function faults(counts, recent) {
  fill(find("faults-body"), [counts, recent], () => {
    const named = Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => `${name} ${number(count)}`);
    return [
      el("p", { class: "quiet" }, named.length ? `Responses that the server made itself, since its start: ${named.join(", ")}.` : "None since the server started."),
      recent.map((fault) => el("details", { class: "fault", "data-key": fault.id },
        el("summary", {}, clock(fault.time), el("span", { class: "bad" }, ` ${fault.status} ${fault.fault} `),
          el("code", {}, `${fault.method} ${fault.target}`)),
        el("p", { class: "quiet" }, [fault.version ? `version ${fault.version}` : "no version was called", `site ${fault.site ?? "default"}`, `id ${fault.id}`].join(", ")),
        el("pre", { tabindex: 0, role: "region", "aria-label": "Cause" }, backtrace(fault.cause)))),
    ];
  });
}

/** Puts each function of a backtrace on a line of its own. */
const backtrace = (cause) => cause.replace(/; in (?=[^;]*$)/, "\n  in ").replace(/ < /g, "\n  in ");

/** Says in words what has changed, without its cause. */
function words(change) {
  const { event, version } = change;
  switch (event) {
    case "serving": return change.how === "rollback" ? `Rolled back to version ${version} from ${change.replaced}` : `Version ${version} serves; it replaced ${change.replaced}`;
    case "rejected": return `Version ${version} was rejected in stage ${change.stage}`;
    case "rollout": return `Rollout of version ${version}: ${CHANGED[change.change] ?? change.change} (${change.phase})`;
    case "reloaded": return ["The configuration was reloaded", change.applied.length && `changed: ${change.applied.join(", ")}`,
      change.needs_restart.length && `needs a restart: ${change.needs_restart.join(", ")}`, ...change.failed].filter(Boolean).join("; ");
    case "not-reloaded": return "The configuration was not reloaded";
    case "site-added": return `The site was added; version ${version} serves`;
    case "site-removed": return "The site was removed";
    case "certificate": return `New connections get the certificate ${change.file} for ${change.names.join(", ")}, until ${change.not_after}`;
    case "certificate-refused": return "A certificate was refused; the one before it goes on";
    case "certificate-failed": return `No certificate was got for ${change.domain} by ACME (${change.step}); next attempt ${change.next}`;
    case "log-level": return `The levels of the log are ${change.level}`;
    case "ending": return change.successor ? `Process ${change.successor} has taken the place of the server` : "The server ends";
    default: return event;
  }
}

/** Returns the mark of a change on the timeline, if it has one. */
export function mark(change, withSite) {
  const of = withSite && change.site ? `${change.site} ` : "";
  const time = Date.parse(change.time);
  const title = `${of}${words(change)}`;
  const is = (kind, label) => ({ time, kind, label: of + label, title });
  if (change.event === "serving") return change.how === "rollback" ? is("back", `↩ ${change.version}`) : is("swap", `▲ ${change.version}`);
  if (change.event === "rejected") return is("rejected", `✕ ${change.version}`);
  if (change.event === "rollout" && change.change === "begun") return is("step", `${change.version} ${phase(change)}`);
  if (change.event === "rollout" && change.change === "step") return is("step", `${change.version} ${phase(change)}`);
  return null;
}

/** Share of the clients in a phase, in short. */
const phase = (change) => change.phase.split(", ").at(-1);

/** Shows the latest changes, newest first. */
export function changes(all) {
  const latest = all.slice(-CHANGES).reverse();
  fill(find("changes-body"), latest, () => latest.length === 0
    ? el("p", { class: "quiet" }, "None since the server started.")
    : el("ul", { class: "changes" }, latest.map((change) => el("li", {},
      clock(change.time), change.site ? ` ${change.site}: ` : " ",
      el("span", { class: ["rejected", "not-reloaded"].includes(change.event) ? "bad" : null }, words(change)),
      el("span", { class: "quiet" }, change.by ? ` by ${change.by}` : null, change.cause ? `: ${change.cause}` : null)))));
}
