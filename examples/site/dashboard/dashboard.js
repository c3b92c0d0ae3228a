// The release engineering dashboard: dashboard.json says what is, layout.json how to call it and when to worry.

import { Client, isLate } from "../../assets/statscache.js";

const PLUGIN = "release-dashboard";
const client = new Client();
const $ = (id) => document.getElementById(id);
let drawn;

function h(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

const now = () => Date.now() / 1000;

function span(seconds) {
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** A moment as people say it, and exactly. */
function moment(time) {
  const exact = new Date(time * 1000).toISOString();
  return h("time", { datetime: exact, title: exact }, `${span(Math.max(0, now() - time))} ago`, h("small", {}, `${exact.slice(5, 16).replace("T", " ")} UTC`));
}

const link = (address, text) => (/^https:\/\//.test(address ?? "") ? h("a", { href: address, rel: "noopener nofollow" }, text) : h("span", {}, text));

function step(layout, group, [name, status, start, stop, lastDone, run, address]) {
  const known = Object.hasOwn(layout.statuses, status) ? layout.statuses[status] : { class: "unknown", text: status };
  const running = known.class === "progress";
  const newest = Math.max(start ?? 0, stop ?? 0);
  const overdue = running ? group.stuck_after && now() - start > group.stuck_after && layout.stuck : group.stale_after && now() - newest > group.stale_after && layout.stale;
  const took = start !== null && stop !== null && stop >= start ? ` in ${span(stop - start)}` : "";
  const state = h("span", { class: `state ${known.class}` }, known.text + took);
  const since = newest ? moment(newest) : null;
  const good = known.class === "bad" && lastDone ? h("small", {}, "last done ", moment(lastDone)) : null;
  const worry = overdue ? h("span", { class: `state ${overdue.class}` }, overdue.text) : null;
  return h("li", { class: overdue ? "stale" : null, title: run }, link(address, name ?? "all of it"), state, since, worry, good);
}

function image(layout, item) {
  const regions = Object.entries(item.regions);
  // Where one id is good in all regions, the image has it.
  const launch = (region, id) => Object.hasOwn(layout.launch, item.provider) && layout.launch[item.provider].replace("{region}", encodeURIComponent(region)).replace("{id}", encodeURIComponent(id));
  const rows = regions.map(([region, own]) => [region, String(own ?? item.id ?? item.image)]);
  const list = h("ul", {}, ...rows.map(([region, id]) => h("li", {}, h("b", {}, region), link(launch(region, id) || null, id))));
  return h("details", {}, h("summary", {}, `${regions.length} ${regions.length === 1 ? "region" : "regions"}`), list);
}

function card(layout, group, item) {
  const cloud = item.regions !== undefined;
  const names = cloud ? [item.provider, item.flavour, item.release, item.architecture] : [item.component, item.release, item.architecture];
  const title = [...new Set(names.filter((name) => name !== null))].join(" · ");
  const content = cloud ? [h("p", {}, item.image ?? "", " "), moment(item.timestamp), image(layout, item)] : [h("ul", {}, ...item.steps.map((one) => step(layout, group, one)))];
  return h("article", { class: "card" }, h("h3", {}, title), ...content);
}

const nameOf = (details) => details.closest("section").id + details.closest(".card").querySelector("h3").textContent;
const reachable = () => [...document.querySelectorAll("#groups a, #dashboard a, #dashboard summary")];

function draw({ index, dashboard, layout }) {
  const isFirst = !$("dashboard").hasChildNodes();
  const opened = new Set([...document.querySelectorAll("#dashboard details[open]")].map(nameOf));
  const focused = reachable().indexOf(document.activeElement);
  const known = new Map(layout.groups.map((group) => [group.id, group]));
  const sections = dashboard.groups
    .filter((group) => group.items.length)
    .map(({ id, items, omitted }) => {
      const group = known.get(id) ?? { title: id };
      const rest = omitted ? h("p", {}, `and ${omitted} more, for which there is no room`) : null;
      return h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, h("a", { href: `#${id}` }, group.title)), h("div", { class: "cards" }, ...items.map((item) => card(layout, group, item))), rest);
    });
  $("dashboard").replaceChildren(...sections);
  $("groups").replaceChildren(...sections.map((section) => h("a", { href: `#${section.id}` }, section.querySelector("h2").textContent)));
  $("age").replaceChildren("Data through ", index.through === null ? "nothing yet" : moment(index.through), isLate(index) ? ". This is overdue: nothing was published lately." : ".");
  filter();
  // Who reads finds what was open, and the focus, as it was.
  for (const details of document.querySelectorAll("#dashboard details")) details.open = opened.has(nameOf(details));
  reachable()[focused]?.focus({ preventScroll: true });
  // The section that the address names was not there when the page was opened.
  if (isFirst) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function filter() {
  const words = $("filter").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  for (const section of document.querySelectorAll("#dashboard section")) {
    const cards = [...section.querySelectorAll(".card")];
    for (const one of cards) one.hidden = !words.every((word) => one.textContent.toLowerCase().includes(word));
    section.hidden = cards.every((one) => one.hidden);
  }
}

$("filter").addEventListener("input", filter);

const failed = (error) => {
  $("age").textContent = drawn ? `${error.message}. What is shown is older.` : `Nothing to show: ${error.message}.`;
};

client.watch(
  async (index, changed) => {
    const mine = changed.some((path) => path.startsWith(`v1/plugins/${PLUGIN}/`));
    if (!index.plugins.some(({ name }) => name === PLUGIN)) throw new Error("this site does not publish release-dashboard");
    if (mine || !drawn) drawn = { dashboard: await client.document(PLUGIN, "dashboard"), layout: await client.document(PLUGIN, "layout") };
    drawn.index = index;
    draw(drawn);
  },
  { onerror: failed },
);
// Times that are told as ages age, and the index is renewed though no snapshot is new, or else it is late.
setInterval(async () => {
  if (!drawn || document.hidden) return;
  try {
    drawn.index = await client.discover();
    draw(drawn);
  } catch (error) {
    failed(error);
  }
}, 60_000);
