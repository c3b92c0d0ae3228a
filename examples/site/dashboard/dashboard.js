// The smallest client of the release engineering dashboard: dashboard.json has the states, layout.json their names.
// The page of the site shows more: what is broken first, what is old, and where to launch an image.

import { Client } from "../../assets/statscache.js";
import { element, foreign } from "../../assets/dom.js";
import { clock } from "../../assets/labels.js";
import { entityOf, pageOf } from "../../assets/names.js";

const PLUGIN = "release-dashboard";
const client = new Client();
const list = document.getElementById("dashboard");
const age = document.getElementById("age");

/** What a line is about: each name once, with a link if the site has a page of it. */
function named(index, item, fields) {
  const names = [...new Set(fields.map((field) => item[field]).filter(Boolean))];
  return names.flatMap((name, at) => {
    const entity = fields.filter((field) => item[field] === name).map((field) => entityOf(index, field)).find(Boolean);
    return [at ? " · " : "", entity ? element("a", { href: pageOf(client, entity, name) }, foreign(name)) : foreign(name)];
  });
}

function line(index, layout, item) {
  if (item.regions) return [named(index, item, ["provider", "flavour", "release", "architecture"]), "published", item.timestamp];
  // The first step is the whole run, or the only step.
  const [[, status, start, stop]] = item.steps;
  return [named(index, item, ["component", "release", "architecture"]), layout.statuses[status]?.text ?? status, stop ?? start];
}

async function draw(index) {
  const [board, layout] = await Promise.all([client.document(PLUGIN, "dashboard"), client.document(PLUGIN, "layout")]);
  const titles = new Map(layout.groups.map(({ id, title }) => [id, title]));
  const sections = board.groups.filter(({ items }) => items.length).map(({ id, items }) => {
    const lines = items.map((item) => line(index, layout, item)).map(([name, words, time]) => element("li", {}, ...name, ": ", foreign(words), ", ", clock(time)));
    return element("section", {}, element("h2", {}, foreign(titles.get(id) ?? id)), element("ul", {}, ...lines));
  });
  list.replaceChildren(...sections);
  age.replaceChildren("Data through ", ...(index.through === null ? ["nothing yet"] : [clock(index.through)]), ".");
}

const failed = () => {
  age.textContent = "The site cannot be reached now; this page tries again each minute.";
};
client.watch(draw, { onerror: failed });
