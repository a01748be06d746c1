// Brings a new module to a site: rolls it out step by step, or swaps to it.

import { ofSite, order } from "./api.js";
import { confirm } from "./dialog.js";
import { bytes, find } from "./dom.js";

const way = () => find("module-form").querySelector("[name=way]:checked").value;

/** Begins: `place` returns the name of the site and the number of its current version. */
export function begin(place) {
  const form = find("module-form");
  form.addEventListener("change", () => {
    find("module-plan").hidden = way() === "swap";
    find("module-error").textContent = "";
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [file] = find("module-file").files;
    find("module-error").textContent = file ? "" : "Choose the file of a module first.";
    if (file) (way() === "swap" ? swap : rollOut)(file, place());
  });
}

function rollOut(file, { site, current }) {
  const [steps, hold] = ["module-steps", "module-hold"].map((id) => find(id).value.trim());
  const shares = steps.split(",").filter(Boolean);
  const plan = shares.length ? `Then it answers ${shares.join(", ")} and all of the clients, in steps.` : "Then the plan of the server begins.";
  bring({
    file, site, current, path: "/v1/rollout",
    more: { ...(steps && { steps }), ...(hold && { hold }) },
    name: "Roll out", title: `Roll out ${file.name}?`,
    text: `${bytes(file.size)}. It is checked first, also with recent requests. ${plan} Version ${current} answers the other clients.`,
  });
}

function swap(file, { site, current }) {
  bring({
    file, site, current, path: "/v1/versions",
    more: { now: "true" },
    name: "Swap", title: `Swap to ${file.name}?`,
    text: `${bytes(file.size)}. It is checked first, also with recent requests. Then it answers all clients; version ${current} stays kept.`,
  });
}

function bring({ file, site, current, path, more, name, title, text }) {
  const send = () => order(ofSite(path, site, { name: file.name, ...more }), { "if-match": `"${current}"` }, file);
  const done = () => {
    find("module-file").value = "";
    find("module").open = false;
  };
  confirm({ name, title, text, send, done });
}
