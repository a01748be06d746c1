// What differs between two versions: the answers of both to the same requests, side by side, with
// the part marked that has changed.

import { clock, el, fill, find, number } from "./dom.js";
import { kinds } from "./versions.js";

/** Most examples of a report, and those of a group that are shown at once. */
const EXAMPLES = 60;
const FIRST = 1;
const KINDS = {
  newly_faulting: "newly failing", another_fault: "failing in another way", mended: "mended",
  both_fault: "failing as before", different: "different", accepted: "accepted beforehand",
};

/** Shows the reports on the latest rollout and on the latest candidate that was tried. */
export function show(rollout, replay) {
  const reports = [];
  if (rollout?.report.requests > 0) {
    const what = `Sample of the requests during the rollout of version ${rollout.version}`;
    reports.push({ what, from: rollout.serving, to: rollout.version, time: rollout.begun, report: rollout.report });
  }
  if (replay) {
    const what = `Recent requests, tried before version ${replay.version} ${replay.passed ? "was let through" : "was rejected"}`;
    reports.push({ what, from: replay.against, to: replay.version, time: replay.time, report: replay.report });
  }
  const facts = reports.map(({ what, report }) => [what, report.requests, report.counts, report.groups]);
  fill(find("differences-body"), facts, () =>
    reports.length ? reports.map(section) : el("p", { class: "quiet" }, "No candidate was tried on requests since the server started."));
}

function section({ what, from, to, time, report }, index) {
  let left = EXAMPLES;
  const groups = report.groups.map((group) => {
    const examples = group.examples.slice(0, Math.max(left, 0));
    left -= examples.length;
    return { ...group, examples };
  });
  return el("div", { class: "report" },
    el("h3", {}, `${what} `, el("span", { class: "quiet" }, clock(time))),
    el("p", {}, `${number(report.requests)} requests: ${kinds(report.counts)}.`),
    groups.map((group, at) => el("details", { "data-key": `${what} ${group.kind} ${group.class}`, open: index === 0 && at === 0 },
      el("summary", {}, el("span", { class: group.kind === "newly_faulting" ? "bad" : null }, `${number(group.count)} ${KINDS[group.kind] ?? group.kind}`), ` in ${group.class}`),
      group.examples.slice(0, FIRST).map((example) => comparison(example, from, to)),
      group.examples.length > FIRST
        ? el("details", { "data-key": `more ${what} ${group.kind} ${group.class}` },
          el("summary", {}, `${group.examples.length - FIRST} more of ${number(group.count)}`),
          group.examples.slice(FIRST).map((example) => comparison(example, from, to)))
        : null)));
}

function comparison(example, from, to) {
  const rows = [...endings(example), ...(example.parts ?? []).flatMap(part)];
  return el("div", { class: "example" },
    el("p", {}, el("code", {}, `${example.method} ${example.target}`), el("span", { class: "quiet" }, ` id ${example.id}`)),
    el("table", { class: "sides" },
      el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col" }, `Version ${from}`), el("th", { scope: "col" }, `Version ${to}`))),
      el("tbody", {}, rows.map(([name, before, after]) => el("tr", {}, el("th", { scope: "row" }, name), sides(before, after, `version ${from}`, `version ${to}`))))));
}

/** Status and fault of both versions, if the verdict has them. */
function endings({ from, to }) {
  if (!from || !to) return [];
  const text = (ending) => (ending.fault ? `${ending.status} ${ending.fault}${ending.cause ? `: ${ending.cause}` : ""}` : String(ending.status));
  return [["status", text(from), text(to)]];
}

/** Rows of a part: name, and what both versions have; null stands for nothing. */
function part(one) {
  switch (one.part) {
    case "status": return [["status", String(one.from), String(one.to)]];
    case "field": return [[one.name, one.from.join("\n") || null, one.to.join("\n") || null], ...more(one.more, "values")];
    case "more_fields": return more(one.count, "headers");
    case "body": return body(one);
    default: return [[one.part, JSON.stringify(one.from), JSON.stringify(one.to)]];
  }
}

const more = (count, what) => (count > 0 ? [[`${number(count)} more ${what}`, "…", "…"]] : []);

function body({ from_bytes, to_bytes, diff }) {
  const size = ["body", `${number(from_bytes)} bytes`, `${number(to_bytes)} bytes`];
  switch (diff.as) {
    case "json": return [...diff.changes.map((one) => [one.path || "body", one.from ?? null, one.to ?? null]), ...more(diff.more, "values")];
    case "json_layout": return [["body", "JSON", "the same JSON, written in another way"]];
    case "binary": return [size, [`from byte ${number(diff.offset_bytes)}`, diff.from_hex, diff.to_hex]];
    case "text": return [...lines(diff), ...(diff.more ? more(1, "or more lines") : [])];
    default: return [size];
  }
}

/** Pairs the lines that were removed with those that were added in their place. */
function lines({ line, lines: all }) {
  const rows = [];
  let removed = [];
  let added = [];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at += 1) rows.push(["", removed[at] ?? null, added[at] ?? null]);
    removed = [];
    added = [];
  };
  for (const one of all) {
    if (one.line === "removed") removed.push(one.text);
    else if (one.line === "added") added.push(one.text);
    else if (one.line === "more_removed") removed.push(`… ${one.count} more lines`);
    else if (one.line === "more_added") added.push(`… ${one.count} more lines`);
    else {
      flush();
      const text = one.line === "same" ? one.text : `… ${one.count} equal lines`;
      rows.push(["", text, text]);
    }
  }
  flush();
  if (rows.length) rows[0][0] = `body, line ${number(line)}`;
  return rows;
}

/** Cells of both versions. What both begin and end with is not marked. */
function sides(before, after, from, to) {
  if (before === null) return [el("td", { class: "none", "data-of": from }, "absent"), el("td", { class: "added", "data-of": to }, el("mark", {}, after))];
  if (after === null) return [el("td", { class: "removed", "data-of": from }, el("mark", {}, before)), el("td", { class: "none", "data-of": to }, "absent")];
  if (before === after) return [el("td", { "data-of": from }, before), el("td", { "data-of": to }, after)];
  const [one, other] = [[...before], [...after]];
  const least = Math.min(one.length, other.length);
  let start = 0;
  while (start < least && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < least - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const cell = (text, kind, of) => {
    const changed = text.slice(start, text.length - end).join("");
    return el("td", { class: kind, "data-of": of }, text.slice(0, start).join(""), changed ? el("mark", {}, changed) : null, text.slice(text.length - end).join(""));
  };
  return [cell(one, "removed", from), cell(other, "added", to)];
}
