// The page of one person, package, release or topic (?NAME), made of its published documents.

import { Client, keyPath, NotPublished } from "./statscache.js";
import { ENTITIES, entityOf, Names, pageOf } from "./names.js";
import * as d from "./parts.js";
import { groupsOf } from "./boards.js";
import { latestDays } from "./days.js";
import { fit } from "./rows.js";
import { explorable } from "./controls.js";
import { ofKey, ofSeries } from "./keymodels.js";

const MAIN = { person: "contributors", package: "builds-by-package", topic: "volume-by-topic", release: "builds" };
const MOST_ROWS = { person: 15, package: 15, topic: 15, release: 6 };
/** Statistics that the Release engineering page shows better. */
const ON_BOARD = ["release-dashboard"];
const LEVELS = ["bad", "warn", "unknown", "progress", "old", "good"];
const HIDDEN = ["in_progress"];
/** Columns that have room; more of them stand closer together. */
const MOST_COLUMNS = 8;
const LISTED = 50;
const MOST_PARTS = 8;
const HEADS = { architecture: "Arch", timestamp: "Time", total: "Total", duration: "Took", last_24h: "Last 24 h", last_7d: "Last 7 days", last_30d: "Last 30 days" };
const ORDER = ["state", "status", "version", "release", "timestamp", "start", "stop", "duration", "agent", "subtitle"];
const LINKED = ["version", "id", "subtitle"];
/** Characters of a text for which a column always has room. */
const SHORT = 24;
const WINDOWS = ["last_24h", "last_7d", "last_30d", "total"];

const client = new Client(new URL("..", import.meta.url).href);
const names = new Names(client);
const place = document.querySelector("[data-entity]");
const { entity } = place.dataset;
const { one, many } = ENTITIES[entity];
/** The kinds whose newest rows are events. */
const EVENTFUL = place.dataset.kinds.split(" ");
const site = document.title.split(" · ").at(-1);

const section = (title, ...content) => d.element("section", {}, d.element("h2", {}, title), ...content);
const link = (path, ...text) => d.element("a", { href: client.base + path }, ...text);

function head(kicker, title, ...lede) {
  const words = lede.length ? d.element("p", { class: "lede" }, ...lede) : null;
  const name = d.foreign(title, 120);
  // A topic breaks between its words.
  name.replaceChildren(...name.textContent.split(/(?<=\.)/).flatMap((part) => [d.element("wbr", {}), part]));
  return d.element("section", { class: "intro" }, d.element("div", {}, kicker ? d.element("p", { class: "kicker" }, kicker) : null, d.element("h1", { class: title.length > 24 ? "long" : null }, name), words));
}

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The title of a plugin on the page of one name, without "by person". */
const titleOf = ({ name, unit, title }) => (name === MAIN[entity] ? capitalized(unit) : title.replace(/ by \w+$/, ""));

/** The plugins that counted a name, most informative first, each with its documents. */
async function read(index, found) {
  const about = index.plugins.filter(({ name }) => found.plugins.includes(name));
  about.sort((a, b) => (b.name === MAIN[entity]) - (a.name === MAIN[entity]));
  const optional = (promise) => promise.catch((error) => (error instanceof NotPublished ? null : Promise.reject(error)));
  return Promise.all(
    about.map(async (plugin) => {
      const [latest, key] = await Promise.all([optional(client.latest(plugin.name)), plugin.unbounded ? client.key(plugin.name, found.name) : null]);
      const field = Object.keys(plugin.entities)[0];
      const rows = latest?.rows ?? [];
      return { plugin, latest, key, field, rows, own: rows.filter((row) => row[field] === found.name) };
    }),
  );
}

const inHeadline = ({ headline }) => (row) => Object.entries(headline ?? {}).every(([name, value]) => row[name] === value);

/** The rank of a name among all that a plugin counts, in words; null if the plugin does not count or list it. */
function rankOf({ plugin, latest, field, rows, own }) {
  if (!own.some((row) => Number.isFinite(row.total))) return null;
  const sums = new Map();
  for (const row of rows.filter(inHeadline(plugin))) if (row[field] && row[field] !== "(other)") sums.set(row[field], (sums.get(row[field]) ?? 0) + row.total);
  const mine = sums.get(own[0][field]);
  if (mine === undefined || (own.length > 1 && !d.keysAddUp(plugin))) return null;
  const rank = 1 + [...sums.values()].filter((each) => each > mine).length;
  return `#${d.number(rank)} of ${d.number(latest.keys ?? sums.size)} ${many}`;
}

/** The numbers of one plugin: value, caption and notes. */
function tile(each) {
  const { plugin, latest, key, own } = each;
  const partial = latest?.partial ?? {};
  const counted = own.filter(inHeadline(plugin));
  // Numbers that must not be added up have no sum.
  const sum = (name) => (counted.length > 1 && !d.keysAddUp(plugin) ? null : counted.reduce((total, row) => total + row[name], 0));
  const counts = own.some((row) => Number.isFinite(row.total));
  if (!key && !counts) return null;
  const total = key ? key.total : sum("total");
  // Not every counting kind has windows.
  const month = own.some((row) => Number.isFinite(row.last_30d)) ? (Object.hasOwn(partial, "last_30d") ? null : sum("last_30d")) : undefined;
  const notes = [
    month === undefined ? null : month === null ? `— in the last 30 full days${d.unknown(partial.last_30d ?? null).slice(1)}` : `${d.number(month)} in the last 30 full days`,
    rankOf(each),
    key ? `last on ${d.day(key.last)}` : null,
  ].filter(Boolean);
  const title = [titleOf(plugin), ...Object.values(plugin.headline ?? {})].join(", ");
  return d.element("div", {}, d.element("dt", {}, link(`plugins/${plugin.name}/index.html`, d.foreign(title))), d.element("dd", {}, d.element("strong", {}, total === null ? "—" : d.number(total)), ...notes.map((note) => d.element("span", {}, note))));
}

/** The published name that matches a typed one, ignoring case; else near names. */
async function known(name) {
  const found = await names.find(entity, name.trim());
  if (found) return found.name;
  const near = await names.like(entity, name.trim(), 3);
  throw new Error(`no ${one.toLowerCase()} is called ${d.clean(name, 60)}${near.length ? `; near it are ${near.join(", ")}` : ""}`);
}

/** The chart of a name over time, with all controls; null if nothing is kept by time. */
async function overTime(index, all, found) {
  const main = all.find(({ key }) => key) ?? all.find(({ plugin, own }) => own.length && plugin.documents.some(({ path }) => path.endsWith("/series/1d/index.json")));
  if (!main) return null;
  const { plugin, key, field } = main;
  const rules = { additive: d.addsUpInTime(plugin), keysAddUp: d.keysAddUp(plugin) };
  const source = key ? ofKey(client, index, plugin, [found.name]) : ofSeries(client, index, plugin, field, found.name, rules);
  const read = async (range, keys) => source.read(range, await Promise.all(keys.map(known)));
  const shows = async (range) => (await source.read(range, [])).curves.some(({ values }) => values.some(Boolean));
  // The first range with data: a person who stopped long ago, or began today, has an empty year.
  let first;
  for (const range of key ? ["1y", "all", "30d"] : ["30d", "all", "7d", "3h"]) if (source.ranges.includes(range)) first ??= (await shows(range)) ? range : undefined;
  if (!first) return null;
  const whole = plugin.dimensions.map((name) => (name === field ? found.name : plugin.headline?.[name]));
  const about = {
    plugin: plugin.name,
    name: found.name,
    title: `${titleOf(plugin)} of ${found.name}`,
    heading: titleOf(plugin),
    unit: plugin.unit,
    base: client.base,
    isUnbounded: Boolean(key),
    key: whole.includes(undefined) ? null : whole,
  };
  const { root } = await explorable(about, { ...source, read }, { first, hasViews: Boolean(key?.parts?.length > 1), beside: `another ${one.toLowerCase()}` });
  return root;
}

/** The parts of a key as bars: what a person did by category, the builds of a package by release. */
function parts(index, { plugin, key }) {
  const all = (key?.parts ?? []).filter((part) => part.total > 0).sort((a, b) => b.total - a.total);
  if (!all.length) return null;
  const field = Object.keys(all[0]).find((name) => !["total", "weeks"].includes(name));
  const rest = all.slice(MOST_PARTS);
  const shown = all.slice(0, MOST_PARTS).map((part) => [d.label([part[field]]), part.total, part[field]]);
  if (rest.length) shown.push([`${d.number(rest.length)} others`, rest.reduce((sum, part) => sum + part.total, 0)]);
  const longest = Math.max(...shown.map(([, value]) => value));
  const named = entityOf(index, field);
  const bars = shown.map(([label, value, name]) => barOf(named && name ? d.element("a", { href: pageOf(client, named, name) }, d.foreign(label, 60)) : d.foreign(label, 60), value, longest));
  // Parts without a page of their own, and those of the main statistic, need no more words; karma by cycle does.
  const title = named && plugin.name !== MAIN[entity] ? `${titleOf(plugin)} by ${field}` : pluralOf(field);
  return panel(title, plugin.unit, bars);
}

const pluralOf = (name) => capitalized(name.endsWith("y") ? `${name.slice(0, -1)}ies` : `${name}s`);
const panel = (title, unit, bars) => d.element("div", { class: "panel" }, d.element("h3", {}, title, " ", d.element("small", {}, unit)), d.element("ol", { class: "bars" }, ...bars));

/** The outcomes of a plugin: its rows by state. */
function states(plugin, rows) {
  const counts = new Map();
  for (const { state } of rows) if (typeof state === "string") counts.set(state, (counts.get(state) ?? 0) + 1);
  if (!counts.size || !rows.some((row) => Object.hasOwn(row, "in_progress"))) return null;
  const shown = [...counts].sort(([, a], [, b]) => b - a);
  return panel(`${plugin.title} by state`, `of the newest ${d.number(rows.length)}`, shown.map(([label, value]) => barOf(d.foreign(label, 60), value, shown[0][1])));
}

function barOf(name, value, longest) {
  const bar = d.svg("svg", { class: "bar", viewBox: "0 0 1000 6", preserveAspectRatio: "none", "aria-hidden": "true" }, d.svg("rect", { width: Math.max(0, (value / longest) * 1000), height: 6 }));
  return d.element("li", {}, d.element("span", { class: "key" }, name), d.element("span", { class: "amount" }, d.number(value)), bar);
}

const isAddress = (value) => typeof value === "string" && /^https?:\/\/[^\s\u0000-\u001f]+$/.test(value) && URL.canParse(value);

/** The field of a row whose text links to its subject, so that the URL needs no column. */
const linked = (row) => (isAddress(row.link) ? LINKED.find((field) => typeof row[field] === "string" && row[field]) : null);

function cell(index, field, row) {
  const value = row[field];
  if (value === null || value === undefined) return d.element("td", { class: "unknown" }, "—");
  if (d.isTime(field) && d.isMoment(value)) return d.element("td", { class: "time" }, d.clock(value, (time) => d.minute(time).slice(0, 16)));
  if (d.isDuration(field)) return d.element("td", { class: "number" }, d.span(value));
  if (typeof value === "number") return d.element("td", { class: "number" }, d.number(value));
  if (typeof value !== "string") return d.element("td", {}, d.element("code", {}, d.foreign(JSON.stringify(value))));
  const named = entityOf(index, field);
  if (isAddress(value)) return d.element("td", { class: "link" }, d.element("a", { href: value, rel: "nofollow" }, d.element("span", {}, "Open"), " ↗"));
  if (field === linked(row)) return d.element("td", { title: value.length > SHORT ? d.clean(value) : null }, d.element("a", { href: row.link, rel: "nofollow" }, d.foreign(value)));
  return d.element("td", { title: value.length > SHORT ? d.clean(value) : null, class: named && value.length > 32 ? "tail" : null }, named ? d.element("a", { href: pageOf(client, named, value) }, d.foreign(value)) : d.foreign(value));
}

/** Rows as a table: key, state, time, the rest; newest first. `all` is the number of newest rows that these are among. */
function table(index, { name: plugin, title, unit, dimensions }, rows, partial = {}, all = 0) {
  const time = (row) => row.timestamp ?? row.stop ?? row.start ?? 0;
  const shown = [...rows].sort((a, b) => time(b) - time(a)).slice(0, MOST_ROWS[entity]);
  const present = [...new Set(shown.flatMap((row) => Object.keys(row)))].filter((name) => !HIDDEN.includes(name) && shown.some((row) => row[name] !== null && !(name === "link" && linked(row))));
  const first = [...dimensions, ...ORDER].filter((name, at, all) => present.includes(name) && all.indexOf(name) === at);
  const last = WINDOWS.filter((name) => present.includes(name));
  const columns = [...first, ...present.filter((name) => ![...first, ...last].includes(name)).sort(), ...last];
  const numeric = (name) => name === "duration" || (!d.isTime(name) && shown.some((row) => typeof row[name] === "number"));
  const heading = (name) => (Object.hasOwn(HEADS, name) ? HEADS[name] : d.foreign(name.replaceAll("_", " "), 40));
  const line = d.element("tr", {}, ...columns.map((name) => d.element("th", { scope: "col", class: numeric(name) ? "number" : null }, heading(name), d.isTime(name) ? " (UTC)" : null)));
  const isLong = (name) => shown.some((row) => typeof row[name] === "string" && !isAddress(row[name]) && row[name].length > SHORT);
  const long = columns.filter(isLong).slice(0, 4);
  // Sentences need more room.
  for (const name of long) line.cells[columns.indexOf(name)].classList.add("long", ...(shown.some((row) => / .* .* /.test(row[name])) ? ["words"] : []));
  const made = (row) => columns.map((name) => {
    const found = Object.hasOwn(partial, name) ? d.element("td", { class: "unknown" }, d.unknown(partial[name])) : cell(index, name, row);
    if (long.includes(name)) found.classList.add("long");
    return found;
  });
  const body = shown.map((row) => d.element("tr", {}, ...made(row)));
  const rowsTable = d.element("table", { class: `rows long${long.length}${columns.length > MOST_COLUMNS ? " dense" : ""}` }, d.element("thead", {}, line), d.element("tbody", {}, ...body));
  const scroll = fit(d.element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, rowsTable), columns.filter((name) => dimensions.includes(name)).length);
  const rest = rows.length - shown.length;
  const words = [rest > 0 ? `The newest ${d.number(shown.length)} of ${d.number(rows.length)}` : "", all ? `${rest > 0 ? "a" : "A"}mong the newest ${d.number(all)} ${unit} of all` : ""].filter(Boolean);
  const note = words.length ? d.element("p", { class: "note" }, `${words.join(", ")}. `, link(`plugins/${plugin}/index.html`, "All of them")) : null;
  return section(title, scroll, note);
}

/** A table of the newest entries of a name, such as its builds with their states. */
function newest(index, plugin, { entries, total }) {
  const shown = table(index, { ...plugin, title: `Recent ${plugin.unit}`, dimensions: [] }, entries);
  if (total > entries.length) shown.append(d.element("p", { class: "note" }, `The newest ${d.number(entries.length)} of ${d.number(total)}.`));
  return shown;
}

/** Content that is not counted by name: the newest lines that mention it, and its composes. */
async function lines(index, found) {
  const wanted = { person: ["agent", "user"], topic: ["topic"], release: ["release"], package: ["package"] }[entity];
  const logs = index.plugins.filter(({ kind, name, documents }) => EVENTFUL.includes(kind) && !found.plugins.includes(name) && !ON_BOARD.includes(name) && documents.some(({ path }) => path.endsWith("/latest.json")));
  const read = await Promise.all(
    logs.map(async (plugin) => {
      const { rows } = await client.latest(plugin.name);
      const all = rows.length;
      return [plugin, rows.filter((row) => wanted.some((field) => row[field] === found.name)).map((row) => Object.fromEntries(Object.entries(row).filter(([field]) => row[field] !== found.name))), all];
    }),
  );
  return read.filter(([, rows]) => rows.length);
}

/** The state of a release: the entries of each group of the Release engineering page that are about it. */
async function now(found) {
  if (!place.dataset.board) return null;
  const address = `${client.base}${place.dataset.board}?filter=${encodeURIComponent(found.name)}`;
  const groups = await groupsOf(client.base + place.dataset.board);
  const cards = groups.flatMap(({ id, title, items }) => {
    const rows = items.map(([item]) => item).filter((item) => item.dataset.release === found.name && !item.closest("[data-past]"));
    const fare = rows.map((row) => row.querySelector(".state")).map((state) => [LEVELS.find((level) => state.classList.contains(level)), state.querySelector("bdi").textContent, state.querySelector(".sign").textContent]);
    if (!fare.length) return [];
    const [level, words, sign] = fare.sort(([a], [b]) => LEVELS.indexOf(a) - LEVELS.indexOf(b))[0];
    const worst = fare.filter(([each]) => each === level).length;
    const share = fare.length < 2 ? null : d.element("small", {}, worst === fare.length ? ` all ${worst}` : ` ${worst} of ${fare.length}`);
    const state = d.element("span", { class: `state ${level}` }, d.element("span", { class: "sign", "aria-hidden": "true" }, sign), " ", d.foreign(words, 80));
    return [d.element("li", {}, d.element("a", { href: `${address}#${id}` }, d.element("span", {}, title), " ", state, share))];
  });
  return cards.length ? section("Now", d.element("ul", { class: "strip" }, ...cards), d.element("p", { class: "note" }, d.element("a", { href: address }, "All of it, and where to launch its images"))) : null;
}

function copyable(title, text) {
  const button = d.element("button", { type: "button", class: "copy", "aria-label": `Copy ${title}` }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return d.element("figure", {}, d.element("figcaption", {}, title), d.element("pre", { tabindex: 0 }, d.element("code", {}, text)), button);
}

/** The embed code, the JSON documents and the link to share. */
function sharing(all, found) {
  const key = JSON.stringify([found.name]).replaceAll("&", "&amp;").replaceAll("'", "&#39;").replaceAll("<", "&lt;");
  const [main] = all.filter((each) => each.key);
  const embed = main
    ? `<script type="module" src="${client.base}assets/widgets.js"></script>\n<statscache-calendar plugin="${main.plugin.name}" key='${key}'></statscache-calendar>`
    : null;
  const documents = all.flatMap(({ plugin, path }) => (path ? [path] : ["json", "csv"].map((form) => `v1/plugins/${plugin.name}/latest.${form}`)));
  const list = d.element("ul", { class: "documents" }, ...documents.map((path) => d.element("li", {}, link(path, d.element("code", {}, path)))));
  return section(
    "Use it elsewhere",
    d.element("div", { class: "examples" }, copyable("A link to this page", pageOf(client, entity, found.name)), embed ? copyable("The calendar on your page", embed) : null),
    d.element("details", { id: "json" }, d.element("summary", {}, `${all.every(({ path }) => path) ? "JSON" : "JSON and CSV"}: ${d.number(documents.length)} ${documents.length === 1 ? "document" : "documents"}`), list),
  );
}

async function show(index, found) {
  const all = await read(index, found);
  for (const each of all) if (each.key) each.path = `v1/plugins/${each.plugin.name}/by/${await keyPath([found.name])}.json`;
  const main = all.find((each) => each.key);
  const times = all.flatMap(({ key }) => (key ? [key] : []));
  const since = all.map(({ plugin }) => plugin.since).filter((time) => time !== null && time <= index.through);
  const lede = times.length
    ? [`First seen `, d.clock(Math.min(...times.map(({ first }) => first)), d.day), `, last `, d.clock(Math.max(...times.map(({ last }) => last))), `.`]
    : [];
  if (index.slow_through !== null) lede.push(...(since.length ? [" Data since ", d.clock(Math.min(...since), d.day), ", through "] : [" Data through "]), d.clock(index.slow_through), ".");
  const tiles = all.map(tile).filter(Boolean);
  const key = JSON.stringify([found.name]);
  // A release has no key document, but its days are in a series.
  const byDay = main ?? all.find(({ plugin, own }) => own.length && plugin.dimensions.length === 1 && d.addsUpInTime(plugin) && plugin.documents.some(({ path }) => path.endsWith("/series/1d/index.json")));
  const calendar = byDay ? d.element("div", { class: "panel year" }, d.element("statscache-calendar", { plugin: byDay.plugin.name, key, label: titleOf(byDay.plugin) })) : null;
  const drawn = [await overTime(index, all, found), calendar].filter(Boolean);
  const told = await lines(index, found);
  const own = told.concat(all.filter(({ own }) => own.length).map((each) => [each.plugin, each.own]));
  const panels = [...all.map((each) => parts(index, each)), ...own.map(([plugin, rows]) => states(plugin, rows))].filter(Boolean);
  const days = latestDays(client, index, all.filter(({ key }) => key).map((each) => ({ ...each, title: titleOf(each.plugin) })));
  const bounded = all.filter(({ key, own, plugin }) => !key && own.length && plugin.dimensions.length > 1).map(({ plugin, own, field, latest }) => {
    // Builds that are complete come before those that began.
    const first = [...own].sort((a, b) => inHeadline(plugin)(b) - inHeadline(plugin)(a));
    return table(index, plugin, first.map(({ [field]: _, ...row }) => row), latest.partial);
  });
  place.replaceChildren(
    head(one, found.name, ...lede),
    tiles.length ? d.element("dl", { class: "tiles" }, ...tiles) : "",
    (await now(found)) ?? "",
    ...(drawn.length ? [section("Over time", ...drawn)] : []),
    ...(panels.length ? [d.element("section", { class: "panels" }, ...panels)] : []),
    ...all.filter(({ key }) => key?.entries?.length).map(({ plugin, key }) => newest(index, plugin, key)),
    ...(days ? [section("Latest days", ...days)] : []),
    ...told.map(([plugin, rows, all]) => table(index, plugin, rows, {}, all)),
    ...bounded,
    sharing(all, found),
  );
  document.title = `${d.clean(found.name, 80)} · ${one} · ${site}`;
}

async function unknown(index, name) {
  const near = await names.like(entity, name);
  const list = d.element("ul", { class: "near" }, ...near.map((each) => d.element("li", {}, d.element("a", { href: pageOf(client, entity, each) }, d.foreign(each, 90)))));
  place.replaceChildren(
    head(one, name, `No ${entity} of this name is known. `, ...(near.length ? ["Did you mean one of these?"] : ["Search for another name, or look at ", link(`${ENTITIES[entity].page}/index.html`, `the top ${many}`), "."])),
    near.length ? list : "",
  );
  document.title = `${d.clean(name, 80)}: not known · ${site}`;
}

/** The documents behind a list, for programs, and the list of all names. */
const files = (plugin) => d.element("p", { class: "note" }, "For programs: the top names as ", link(`v1/plugins/${plugin}/latest.json`, "JSON"), " or ", link(`v1/plugins/${plugin}/latest.csv`, "CSV"), ", and ", link(`v1/entities/${entity}/index.json`, "all names"), " (JSON).");

/** Without a name in the URL: the names with the greatest counts. */
async function list(index) {
  const { plugins, count, names = [] } = (await client.entities(entity)) ?? { plugins: [], count: 0 };
  const name = plugins.includes(MAIN[entity]) ? MAIN[entity] : plugins.find((each) => index.plugins.find((plugin) => plugin.name === each)?.unbounded) ?? plugins[0];
  const plugin = index.plugins.find((each) => each.name === name);
  const has = plugin?.documents.some(({ path }) => path.endsWith("/latest.json"));
  const field = plugin && Object.keys(plugin.entities)[0];
  const sums = new Map();
  for (const row of has ? (await client.latest(name)).rows.filter(inHeadline(plugin)) : []) {
    if (row[field] && row[field] !== "(other)") sums.set(row[field], (sums.get(row[field]) ?? 0) + (row.total ?? 1));
  }
  const top = [...sums].sort((a, b) => b[1] - a[1]).slice(0, LISTED);
  const longest = Math.max(1, ...top.map(([, value]) => value));
  // Long names differ at the end.
  const rows = top.map(([each, value]) => barOf(d.element("a", { href: pageOf(client, entity, each), class: each.length > 24 ? "tail" : null }, d.foreign(each, 90)), value, longest));
  // Few names are all listed, also those that the main statistic does not count.
  const others = names.map(([each]) => each).filter((each) => !sums.has(each)).slice(0, LISTED).map((each) => d.element("li", {}, d.element("a", { href: pageOf(client, entity, each) }, d.foreign(each, 90))));
  const many = document.querySelector("h1").textContent;
  place.replaceChildren(
    head("", many, count ? `${d.number(count)} are known. Search finds any of them by name.` : "None is known yet.", ...(plugin?.since && plugin.since <= index.through ? [" Data since ", d.clock(plugin.since, d.day), ", through ", d.clock(index.through), "."] : [])),
    rows.length ? section(`Top ${d.number(rows.length)} by ${[...new Set([plugin.unit, ...Object.values(plugin.headline ?? {})])].join(" ")}`, d.element("div", { class: "panel" }, d.element("ol", { class: "bars ranked columns" }, ...rows)), files(name)) : "",
    others.length ? section(rows.length ? "Others" : "All", d.element("ul", { class: "near" }, ...others)) : "",
  );
}

/** The name in the URL; one that is not well encoded is used as it is. */
function asked() {
  const text = location.search.slice(1);
  try {
    return decodeURIComponent(text.replaceAll("+", " ")).trim();
  } catch {
    return text.trim();
  }
}

try {
  place.setAttribute("aria-busy", "true");
  const name = asked();
  const index = await client.discover();
  const found = name ? await names.find(entity, name) : null;
  if (found && found.name !== name) history.replaceState(null, "", `?${encodeURIComponent(found.name)}`);
  await (found ? show(index, found) : name ? unknown(index, name) : list(index));
} catch (error) {
  console.info(error);
  const again = d.element("button", { type: "button", class: "again" }, "Try again");
  again.addEventListener("click", () => location.reload());
  place.replaceChildren(head(one, asked() || document.querySelector("h1").textContent, "The site cannot be reached, so there are no numbers to show now."), again);
} finally {
  place.removeAttribute("aria-busy");
}
