// Draws the last five minutes: requests a second, times, failures, and what has changed.

import { bytes, clock, el, fill, find, hour, number, seconds, svg } from "./dom.js";

const SPAN = 300_000;
const TOP = 20;
const LANES = [
  { name: "requests/s", top: TOP, height: 88 },
  { name: "time", top: TOP + 104, height: 72 },
  { name: "failed/s", top: TOP + 192, height: 40 },
];
const HEIGHT = TOP + 192 + 40 + 20;

/** Samples by their time, the oldest first. */
let samples = [];
let marks = [];
/** Sample that is looked at; null for the last one. */
let looked = null;
let received = 0;

export function clear() {
  samples = [];
  looked = null;
  draw();
}

export function add(sample) {
  const end = Date.parse(sample.time);
  if (samples.some((other) => other.end === end)) return;
  samples.push({ ...sample, end, begin: end - sample.seconds * 1000 });
  samples.sort((one, other) => one.end - other.end);
  const oldest = samples.at(-1).end - SPAN;
  samples = samples.filter((one) => one.end >= oldest);
  received = performance.now();
}

export function setMarks(all) {
  marks = all;
}

/** Returns the share of the requests of the last ten seconds that each version answered. */
export function shares() {
  const latest = samples.filter((one) => one.end > (samples.at(-1)?.end ?? 0) - 10_000);
  const all = latest.reduce((sum, one) => sum + one.requests, 0);
  const of = new Map();
  for (const { version, requests } of latest.flatMap((one) => one.versions ?? [])) {
    of.set(version, (of.get(version) ?? 0) + requests / all);
  }
  return of;
}

const rate = (sample, amount) => amount / sample.seconds;

/** Draws figures and chart anew. */
export function draw() {
  if (!samples.includes(looked)) looked = null;
  const sample = looked ?? samples.at(-1);
  figures(sample);
  const chart = find("chart");
  const width = chart.clientWidth;
  if (width === 0) return;
  // The clock of the server counts, which may differ from that of this browser.
  const now = (samples.at(-1)?.end ?? Date.now()) + (samples.length ? Math.min(performance.now() - received, 5000) : 0);
  const x = (time) => width * (1 - (now - time) / SPAN);
  const drawing = svg("svg", { width, height: HEIGHT, "aria-hidden": "true" });
  // Labels stand above the lines.
  const labels = svg("g");
  minutes(drawing, labels, width);
  const most = (of) => Math.max(...samples.map(of), 0);
  const requests = lane(drawing, labels, LANES[0], linear(most((one) => rate(one, one.requests))), width);
  line(drawing, x, (one) => requests(rate(one, one.requests)), "requests", LANES[0]);
  const times = lane(drawing, labels, LANES[1], logarithmic(samples.flatMap((one) => [one.p50_seconds, one.p99_seconds])), width);
  line(drawing, x, (one) => times(one.p99_seconds), "p99");
  line(drawing, x, (one) => times(one.p50_seconds), "p50");
  const failed = lane(drawing, labels, LANES[2], linear(most((one) => rate(one, one.failed))), width);
  line(drawing, x, (one) => failed(rate(one, one.failed)), "failed", LANES[2]);
  drawing.append(labels);
  changes(drawing, x, now, width);
  if (sample && looked !== null) {
    drawing.append(svg("line", { class: "cursor", x1: x(sample.end), x2: x(sample.end), y1: TOP, y2: HEIGHT - 20 }));
  }
  if (samples.length === 0) {
    drawing.append(svg("text", { x: width / 2, y: HEIGHT / 2, class: "label", "text-anchor": "middle" }, "Waiting for the first second"));
  }
  chart.replaceChildren(drawing);
  chart.setAttribute("aria-valuenow", looked === null ? 0 : Math.round((sample.end - now) / 1000));
  chart.setAttribute("aria-valuetext", spoken(sample));
  if (find("table").open) table();
}

/** Scale from 0 to a round number. */
function linear(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  const top = [1, 2, 5, 10].map((factor) => factor * power).find((round) => round >= most) ?? most;
  return { share: (value) => value / top, ticks: [[top, number(top)]] };
}

/** Scale by powers of ten, because times differ by these. */
function logarithmic(values) {
  const known = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...known, 0.001)));
  const high = Math.max(Math.ceil(Math.log10(Math.max(...known, 0.001))), low + 2);
  const ticks = [];
  for (let power = low + 1; power <= high; power += 1) ticks.push([10 ** power, seconds(10 ** power)]);
  return { share: (value) => (Math.log10(value) - low) / (high - low), ticks };
}

/** Draws the lines of a lane. Returns the height of a value. */
function lane(drawing, labels, { name, top, height }, { share, ticks }, width) {
  const at = (value) => (value === undefined ? null : top + height * (1 - Math.min(Math.max(share(value), 0), 1)));
  drawing.append(svg("line", { class: "base", x1: 0, x2: width, y1: top + height, y2: top + height }));
  for (const [value, text] of ticks) {
    drawing.append(svg("line", { class: "grid", x1: 0, x2: width, y1: at(value), y2: at(value) }));
    labels.append(svg("text", { class: "label", x: width - 2, y: at(value) + 11, "text-anchor": "end" }, text));
  }
  labels.append(svg("text", { class: "label name", x: 2, y: top + 11 }, name));
  return at;
}

/** Draws a line through the values of all samples, with the area below it if there is a lane. */
function line(drawing, x, y, name, area) {
  let path = "";
  let filled = "";
  let last = null;
  let begin = 0;
  const close = () => {
    if (area && last !== null) filled += `L${x(last).toFixed(1)} ${area.top + area.height}L${begin} ${area.top + area.height}Z`;
    last = null;
  };
  for (const sample of samples) {
    const height = y(sample);
    if (height === null) { close(); continue; }
    const point = (time, kind) => `${kind}${x(time).toFixed(1)} ${height.toFixed(1)}`;
    const isNew = last === null || sample.begin - last > 1500;
    if (isNew) { close(); begin = x(Math.max(sample.begin, sample.end - SPAN)).toFixed(1); }
    // A longer time is drawn as a level.
    const step = (isNew || sample.seconds > 2 ? point(sample.begin, isNew ? "M" : "L") : "") + point(sample.end, "L");
    path += step;
    filled += step;
    last = sample.end;
  }
  close();
  if (area) drawing.append(svg("path", { class: `area ${name}`, d: filled }));
  drawing.append(svg("path", { class: `line ${name}`, d: path }));
}

function minutes(drawing, labels, width) {
  for (let minute = 0; minute <= 5; minute += 1) {
    const at = width * (1 - minute / 5);
    const anchor = minute === 0 ? "end" : minute === 5 ? "start" : "middle";
    const text = minute === 0 ? "now" : `−${minute} min`;
    drawing.append(svg("line", { class: "grid", x1: at, x2: at, y1: TOP, y2: HEIGHT - 20 }));
    labels.append(svg("text", { class: "label", x: at, y: HEIGHT - 6, "text-anchor": anchor }, text));
  }
}

/** Draws what has changed. A label is left out where that of a later change needs the room. */
function changes(drawing, x, now, width) {
  let free = width;
  for (const { time, kind, label, title } of marks.filter((mark) => mark.time > now - SPAN).reverse()) {
    const at = Math.min(x(time), width);
    const mark = svg("g", { class: `mark ${kind}` }, svg("title", {}, title));
    mark.append(svg("line", { x1: at, x2: at, y1: TOP - 4, y2: HEIGHT - 20 }));
    const half = 4 * label.length;
    const middle = Math.min(Math.max(at, half), width - half);
    if (middle + half <= free) {
      mark.append(svg("text", { x: middle, y: 11, "text-anchor": "middle" }, label));
      free = middle - half;
    }
    drawing.append(mark);
  }
}

/** Shows the figures of a sample. */
function figures(sample) {
  const of = (name, value, kind) => el("div", { class: kind }, el("dt", {}, name), el("dd", {}, value));
  const known = sample ?? { seconds: 1, requests: 0, failed: 0 };
  const when = looked === null || !sample ? "now" : hour(new Date(sample.end));
  find("figures").replaceChildren(
    of("requests/s", sample ? number(rate(known, known.requests)) : "–", "requests"),
    of("50 % within", seconds(known.p50_seconds), "p50"),
    of("99 % within", seconds(known.p99_seconds), "p99"),
    of("failed/s", sample ? number(rate(known, known.failed)) : "–", known.failed > 0 ? "failed some" : "failed"),
    of("connections", sample ? number(known.connections) : "–"),
    of("in flight", sample ? number(known.calls + known.waiting_calls) : "–"),
    of("memory", bytes(known.memory_bytes)),
    of("at", when, "quiet"),
  );
}

function spoken(sample) {
  if (!sample) return "no sample yet";
  return `${hour(new Date(sample.end))}: ${number(rate(sample, sample.requests))} requests a second, half of them within ` +
    `${seconds(sample.p50_seconds)}, 99 % within ${seconds(sample.p99_seconds)}, ${number(rate(sample, sample.failed))} failed a second`;
}

/** Shows the samples as a table, half a minute a row. */
function table() {
  const rows = new Map();
  for (const sample of samples) {
    const begin = Math.floor(sample.end / 30_000) * 30_000;
    const row = rows.get(begin) ?? { seconds: 0, requests: 0, failed: 0, p50: 0, p99: 0 };
    row.seconds += sample.seconds;
    row.requests += sample.requests;
    row.failed += sample.failed;
    row.p50 = Math.max(row.p50, sample.p50_seconds ?? 0);
    row.p99 = Math.max(row.p99, sample.p99_seconds ?? 0);
    rows.set(begin, row);
  }
  const cell = (text) => el("td", {}, text);
  const titles = ["from", "requests", "requests/s", "50 % within, at most", "99 % within, at most", "failed"];
  fill(find("table").querySelector("div"), [...rows], () => el("table", {},
    el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, [...rows].reverse().map(([begin, row]) => el("tr", {},
      el("th", { scope: "row" }, clock(new Date(begin).toISOString())),
      cell(number(row.requests)), cell(number(row.requests / row.seconds)), cell(seconds(row.p50 || undefined)),
      cell(seconds(row.p99 || undefined)), cell(number(row.failed)))))));
}

function look(index) {
  looked = index === null || index >= samples.length - 1 ? null : (samples[Math.max(index, 0)] ?? null);
  draw();
}

/** Lets pointer and arrow keys choose a moment. */
export function begin() {
  const chart = find("chart");
  for (const [name, value] of Object.entries({
    role: "slider", tabindex: 0, "aria-label": "Moment of the traffic", "aria-valuemin": -300, "aria-valuemax": 0,
    "aria-valuenow": 0, "aria-valuetext": "no sample yet",
  })) chart.setAttribute(name, value);
  chart.addEventListener("pointermove", (event) => {
    const { left, width } = chart.getBoundingClientRect();
    const time = (samples.at(-1)?.end ?? 0) - SPAN * (1 - (event.clientX - left) / width);
    const nearest = samples.findIndex((sample) => sample.end >= time);
    look(nearest === -1 ? null : nearest);
  });
  chart.addEventListener("pointerleave", () => look(null));
  chart.addEventListener("blur", () => look(null));
  chart.addEventListener("keydown", (event) => {
    const at = looked ? samples.indexOf(looked) : samples.length - 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 10, PageDown: at + 10, Home: 0, End: null, Escape: null };
    if (!(event.key in to)) return;
    event.preventDefault();
    look(to[event.key]);
  });
  find("table").addEventListener("toggle", draw);
  new ResizeObserver(draw).observe(chart);
  draw();
}
