// Search in the header of every page, a combobox by the ARIA pattern. Nothing is fetched before it is used.

import { Client } from "./statscache.js";
import { clean, element, foreign, number } from "./dom.js";
import { groupsOf, sectionsOf } from "./boards.js";
import { ENTITIES, entitiesOf, Names, pageOf, score } from "./names.js";

const MOST = 10;
const MOST_OF_KIND = 5;
const SHORTEST_IN_PAGES = 3;
/** Words of a question that are ignored. */
const OF_QUESTIONS = new Set("a about activity are by did do does done for has have how i in is it last latest many me month most much newest of on show the this today was week were what when which who year".split(" "));
const STEM = 4;

const client = new Client(new URL("..", import.meta.url).href);
const names = new Names(client);
const box = document.querySelector("[data-find]");
const [input, list, said] = ["input", "[role=listbox]", "[role=status]"].map((selector) => box.querySelector(selector));
let asked = 0;
let active = -1;

const options = () => [...list.querySelectorAll("[role=option]")];

/** The entries of the Release engineering page with all words, as one result that leads to it. */
async function onBoard(wanted) {
  const { board } = box.dataset;
  if (!board || wanted.length < SHORTEST_IN_PAGES) return [];
  const address = client.base + board;
  if ("release engineering".includes(wanted)) return [{ points: 5, name: "Release engineering", kind: "Page", href: address, rank: 64 }];
  const words = wanted.split(/\s+/);
  const found = (await groupsOf(address)).filter(({ items }) => items.some(([, text]) => words.every((word) => text.includes(word))));
  if (!found.length) return [];
  const [{ id, title }] = found;
  const name = found.length > 1 ? `${title} and ${number(found.length - 1)} more` : title;
  return [{ points: 3, name: `${name}: ${wanted}`, kind: "Release engineering", href: `${address}?filter=${encodeURIComponent(wanted)}${found.length > 1 ? "" : `#${id}`}`, rank: 64 }];
}

/** Pages and sections of the documentation with words that begin as typed; they come last. */
async function inDocs(wanted) {
  if (wanted.length < SHORTEST_IN_PAGES) return [];
  const scored = (await sectionsOf(`${client.base}docs/index.html`)).map((each) => [score(each.name.toLowerCase(), wanted), each]);
  const found = scored.filter(([points]) => points > 1).sort(([a], [b]) => b - a).slice(0, MOST_OF_KIND);
  return found.map(([, { name, of, href }]) => ({ points: 0, name: name === of ? name : `${name} · ${of}`, kind: "Docs", href, rank: 0 }));
}

/** The results for a text; if there are none, for its words without those that are ignored, also by their beginnings. */
async function results(text) {
  const found = await lookUp(text);
  const words = text.toLowerCase().replace(/['\u2019]s\b|[?!,]/g, "").split(/\s+/).filter((word) => word && !OF_QUESTIONS.has(word));
  return found.length || !words.length ? found : lookUp(words.join(" "), words.map((word) => word.slice(0, STEM)).join(" "));
}

async function lookUp(text, stems = "") {
  const wanted = text.trim().toLowerCase();
  const index = await client.discover();
  const statistics = index.plugins
    .map(({ name, title }) => ({ points: Math.max(score(title.toLowerCase(), wanted), score(name, wanted), score(name, stems)), name: title, kind: "Statistic", href: `${client.base}plugins/${name}/index.html`, rank: 64 }))
    .filter(({ points }) => points);
  const entities = await Promise.all(
    entitiesOf(index).map(async (entity) =>
      (await names.search(entity, text)).slice(0, MOST_OF_KIND).map((found) => ({ ...found, kind: ENTITIES[entity].one, href: pageOf(client, entity, found.name) })),
    ),
  );
  return [statistics.slice(0, MOST_OF_KIND), await onBoard(wanted), ...entities, await inDocs(wanted)].flat().sort((a, b) => b.points - a.points || b.rank - a.rank).slice(0, MOST);
}

function show(children, words) {
  list.replaceChildren(...children);
  list.hidden = !children.length;
  input.setAttribute("aria-expanded", String(options().length > 0));
  said.textContent = words;
  choose(-1);
}

function choose(at) {
  const all = options();
  active = all.length ? (at + all.length + 1) % (all.length + 1) : -1;
  if (at === -1 || active === all.length) active = -1;
  all.forEach((option, number) => option.setAttribute("aria-selected", String(number === active)));
  if (active < 0) input.removeAttribute("aria-activedescendant");
  else input.setAttribute("aria-activedescendant", all[active].id);
  all[active]?.scrollIntoView({ block: "nearest" });
}

const close = () => show([], "");

async function look() {
  const turn = ++asked;
  const text = input.value;
  if (!text.trim()) return close();
  try {
    const found = await results(text);
    if (turn !== asked) return;
    const made = found.map(({ name, kind, href }, at) =>
      element("li", { role: "option", id: `found-${at}`, "aria-selected": "false", "data-href": href }, foreign(name, 90), element("span", { class: "kind" }, kind)),
    );
    const none = [element("li", { role: "presentation", class: "none" }, "Nothing is called ", foreign(text, 60), ".")];
    show(made.length ? made : none, made.length ? `${number(made.length)} ${made.length === 1 ? "result" : "results"}` : `Nothing is called ${clean(text, 60)}.`);
  } catch {
    if (turn === asked) show([element("li", { role: "presentation", class: "none" }, "The site cannot be reached. Try again later.")], "The site cannot be reached.");
  }
}

const go = (option) => {
  if (option) location.href = option.dataset.href;
};

const STEPS = { ArrowDown: () => active + 1, ArrowUp: () => (active < 0 ? options().length - 1 : active - 1), End: () => options().length - 1, Home: () => 0 };

input.addEventListener("input", look);
input.addEventListener("focus", () => input.value && look());
input.addEventListener("keydown", async (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape") {
    if (list.hidden) input.value = "";
    close();
  } else if (event.key === "Enter") {
    event.preventDefault();
    // After a whole name and Enter, wait for the results and take the first.
    if (active < 0) await look();
    go(options()[Math.max(0, active)]);
  } else if (Object.hasOwn(STEPS, event.key) && options().length && !(["Home", "End"].includes(event.key) && active < 0)) {
    event.preventDefault();
    choose(STEPS[event.key]());
  }
});
box.addEventListener("focusout", (event) => {
  if (!box.contains(event.relatedTarget)) close();
});
// The list must not take the focus, which would close it before the click.
list.addEventListener("mousedown", (event) => event.preventDefault());
list.addEventListener("click", (event) => go(event.target.closest("[role=option]")));
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  input.focus();
  input.select();
});
// Something may have been typed before this script ran.
if (document.activeElement === input) look();
