// Recent messages, newest first, under their days; messages that repeat are shown once.
// `?category=koschei` shows one category alone. The text comes from the bus, so it is set as text, and only web addresses become links.

import { Client, isLate } from "../../assets/statscache.js";
import { element, foreign } from "../../assets/dom.js";
import { entityOf, pageOf } from "../../assets/names.js";

const client = new Client();
const only = new URLSearchParams(location.search).get("category");
const [wall, age, full, said] = ["wall", "age", "full", "only"].map((id) => document.getElementById(id));

const moment = (seconds) => new Date(seconds * 1000).toISOString();
const same = (one, other) => ["category", "agent", "subtitle", "topic"].every((name) => one[name] === other[name]);

/** Runs of rows with the same text, as `[row, number of rows]`. */
function runs(rows) {
  const found = [];
  for (const row of rows) {
    const before = found.at(-1);
    if (before && same(before[0], row) && moment(before[0].timestamp).slice(0, 10) === moment(row.timestamp).slice(0, 10)) before[1] += 1;
    else found.push([row, 1]);
  }
  return found;
}

/** The same colour for the same category, whatever the others are. */
function colour(category) {
  const sum = [...category].reduce((hash, letter) => (hash * 31 + letter.codePointAt(0)) % 360, 7);
  return `hsl(${sum} 55% 55%)`;
}

function entry([row, count], index) {
  const time = element("time", { datetime: moment(row.timestamp) }, moment(row.timestamp).slice(11, 16));
  const name = row.category ?? "";
  const category = element("a", { class: "category", href: `?category=${encodeURIComponent(name)}` }, foreign(name || "none", 40));
  category.style.borderColor = colour(name);
  const web = /^https?:\/\//.test(row.link ?? "") && URL.canParse(row.link);
  const text = row.subtitle ?? row.topic;
  // Most lines begin with the agent.
  const isFirst = Boolean(row.agent) && text.startsWith(row.agent);
  const rest = foreign(isFirst ? text.slice(row.agent.length) : text, 300);
  const what = element("span", {}, web ? element("a", { href: row.link, rel: "noopener noreferrer nofollow" }, rest) : rest);
  if (row.agent) {
    const name = foreign(row.agent, 80);
    const person = entityOf(index, "agent") ? element("a", { href: pageOf(client, "person", row.agent) }, name) : name;
    if (isFirst) what.prepend(person, text[row.agent.length] === " " ? " " : "");
    else what.append(" ", person);
  }
  if (count > 1) what.append(element("small", {}, `${count} times`));
  return element("li", {}, time, category, what);
}

function draw(rows, index) {
  wall.replaceChildren(...(rows.length ? [] : [element("p", {}, "Nothing yet.")]));
  for (const run of runs(rows)) {
    const day = moment(run[0].timestamp).slice(0, 10);
    if (wall.querySelector("h2:last-of-type")?.textContent !== day) wall.append(element("h2", {}, day), element("ol"));
    wall.lastElementChild.append(entry(run, index));
  }
}

if (only !== null) {
  said.append("Only ", foreign(only || "none", 40), ". ", element("a", { href: location.pathname }, "Show all"));
  said.hidden = false;
}
full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));

client.watch(
  async (index) => {
    const { rows } = await client.latest("recent-activity");
    draw(rows.filter(({ category }) => only === null || (category ?? "") === only), index);
    const through = index.through === null ? "nothing yet" : moment(index.through).slice(0, 16).replace("T", " ");
    age.textContent = `Through ${through} UTC${isLate(index) ? ", overdue" : ""}. New entries appear by themselves.`;
  },
  { onerror: () => (age.textContent = "The site cannot be reached now; this page tries again each minute.") },
);
