// Builds elements and texts. Every text becomes a text node: names of modules, targets and causes
// are written by strangers.

const SVG = "http://www.w3.org/2000/svg";

/** Creates an element. `attributes` may have `click`, a function; values of null are left out. */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** Creates an element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "click") onClick(node, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export const find = (id) => document.getElementById(id);

function onClick(node, does) {
  node.does = does;
  // An element that stays gets what the new one does.
  node.addEventListener("click", () => node.does());
}

/** Shows new children in a node, unless `facts` are those of the last time. Elements that are still
 * meant stay as they are, so that the focus, a press of a button and what is open are not lost. */
export function fill(node, facts, make) {
  const text = JSON.stringify(facts);
  if (node.lastFacts === text) return;
  node.lastFacts = text;
  const hadFocus = node.contains(document.activeElement);
  change(node, [make()].flat(9).filter(Boolean));
  if (hadFocus && !node.contains(document.activeElement)) node.closest("section")?.querySelector("h2").focus();
}

function change(node, children) {
  children.forEach((child, at) => {
    const isSame = (old) => old.nodeName === child.nodeName && old.dataset?.key === child.dataset?.key;
    const here = node.childNodes[at];
    const old = here && isSame(here) ? here : child.dataset?.key && [...node.childNodes].slice(at).find(isSame);
    if (!old) node.insertBefore(child, here ?? null);
    else {
      if (old !== here) node.insertBefore(old, here);
      become(old, child);
    }
  });
  while (node.childNodes.length > children.length) node.lastChild.remove();
}

function become(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  // Whether something is open is for the reader to say.
  const names = new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()].filter((name) => name !== "open"));
  for (const name of names) {
    const value = fresh.getAttribute(name);
    if (value === null) old.removeAttribute(name);
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  old.does = fresh.does;
  change(old, [...fresh.childNodes]);
}

/** Returns a point in time as the clock of this browser has it, with the full time as its title. */
export function clock(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return el("span", {}, time);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? "" : `${date.toLocaleDateString("sv")} `;
  return el("time", { datetime: time, title: time }, day + hour(date));
}

export const hour = (date) => date.toLocaleTimeString("en-GB");

export function number(value) {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

export function seconds(value) {
  if (value === undefined || value === null) return "–";
  if (value < 0.0001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${number(value * 1000)} ms`;
  return `${number(value)} s`;
}

export function bytes(value) {
  if (value === undefined || value === null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${number(unit === 0 ? value : Math.round(value * 10) / 10)} ${units[unit]}`;
}

export const count = (amount, one, many = `${one}s`) => `${number(amount)} ${amount === 1 ? one : many}`;
