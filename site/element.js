// What all custom elements share: style, one client for each site, when to read, and messages for errors.

import { Client, isLate, NotPublished } from "./statscache.js";
import * as d from "./parts.js";
import { near } from "./names.js";
import { draw } from "./chart.js";
import { Chart } from "./readout.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  display: block; max-width: 100%; container-type: inline-size; overflow-wrap: anywhere; font-variant-numeric: tabular-nums;
  --ink: var(--statscache-ink, currentColor);
  --quiet: var(--statscache-quiet, light-dark(#5b636e, #a3abb6));
  --rule: var(--statscache-rule, light-dark(#dfe1e4, #30353c));
  --accent: var(--statscache-accent, light-dark(#1a56a6, #8ab8ff));
  --empty: var(--statscache-empty, light-dark(#e2e5e9, #2a3037));
  --c1: var(--statscache-c1, light-dark(#1f5fb4, #78acff)); --c2: var(--statscache-c2, light-dark(#b4530a, #f0a05a));
  --c3: var(--statscache-c3, light-dark(#18795a, #5ccb9c)); --c4: var(--statscache-c4, light-dark(#a3327d, #f08cc4));
  --c5: var(--statscache-c5, light-dark(#6b55c4, #b1a4ff)); --c6: var(--statscache-c6, light-dark(#80660a, #d9bf4e));
  --c7: var(--statscache-c7, light-dark(#0d7488, #5ccbe2)); --c8: var(--statscache-c8, light-dark(#6a717c, #a3abb6));
  color: var(--ink); font-family: var(--statscache-font, inherit); line-height: 1.4;
}
:host([hidden]) { display: none; }
:host(:not([inline])) { margin-block: .75em; }
:host([inline]) { display: inline; container-type: normal; }
*, *::before, *::after { box-sizing: border-box; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.quiet, .note, figcaption span { color: var(--quiet); }
figure, ul, p { margin: 0; padding: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 .75em; align-items: baseline; margin-bottom: .6em; }
figcaption strong { font-weight: 600; }
figcaption .turns { color: inherit; white-space: nowrap; }
.note { margin-top: .5em; font-size: .8em; }
.note a, summary { color: var(--accent); }
.problem { padding: .6em .85em; border: 1px solid var(--rule); border-left: 3px solid var(--c2); border-radius: 4px; font-size: .9em; }
.problem p + p { margin-top: .3em; }
.count { display: flex; flex-wrap: wrap; gap: 0 .5em; align-items: baseline; }
.count strong { font-size: 2em; font-weight: 600; letter-spacing: -.02em; line-height: 1.1; }
.drawing { position: relative; overflow-x: clip; touch-action: pan-y; cursor: crosshair; }
.drawing .plane { display: block; width: calc(100% - 3.25em); margin: .5em .75em 2em 2.5em; overflow: visible; }
.each { display: grid; gap: .25em 1.25em; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17em), 1fr)); }
.pane { min-width: 0; }
.pane p { display: flex; gap: .5em; justify-content: space-between; padding: 0 .75em 0 2.5em; font-size: .86em; }
.chart text { fill: var(--quiet); font-size: 12px; }
.chart .x { text-anchor: middle; }
.chart .y { text-anchor: end; }
.grid, .tick { stroke: var(--rule); }
.base, .rule, .hatch { stroke: var(--quiet); }
.hatch { stroke-opacity: .6; }
.columns { fill: var(--c); }
.tip { position: absolute; z-index: 1; top: 0; min-width: 9em; max-width: min(18em, 80%); padding: .5em .65em; border: 1px solid var(--rule); border-radius: 8px; background: var(--statscache-ground, light-dark(#fff, #1a1d21)); color: light-dark(#1c2024, #e8eaed); box-shadow: 0 4px 14px rgb(0 0 0 / .18); font-size: .82em; pointer-events: none; }
.tip[hidden], .legend[hidden] { display: none; }
.tip ul { list-style: none; }
.tip li { display: grid; grid-template-columns: 10px minmax(0, 1fr) auto; gap: .45em; align-items: center; }
.tip .sum { grid-template-columns: 1fr auto; border-top: 1px solid var(--rule); font-weight: 600; }
.amount { color: var(--quiet); }
.ticks { position: relative; height: 0; font-size: .78em; color: var(--quiet); }
.ticks span { position: absolute; top: .4em; transform: translateX(-50%); white-space: nowrap; }
.ticks.flush span { transform: none; top: 0; }
@container (max-width: 30rem) { .ticks:not(.flush) span:nth-child(even), .chart .second { display: none; } }
.line { fill: none; stroke: var(--c); stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.fill { fill: var(--c); }
.gap { fill: var(--quiet); fill-opacity: .18; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); } .c8 { --c: var(--c8); }
.rest { --c: var(--statscache-rest, light-dark(#a9afb8, #5d656f)); }
.legend { display: flex; flex-wrap: wrap; gap: .15em 1.1em; margin-top: .5em; list-style: none; font-size: .86em; }
.legend li { display: flex; gap: .4em; align-items: center; min-width: 0; }
.legend svg { flex: none; width: .7em; height: .7em; }
.calendar { display: grid; grid-template-columns: auto 1fr; gap: 0 .4em; font-size: .72em; color: var(--quiet); }
.calendar svg { display: block; width: 100%; height: auto; }
.calendar .ticks { grid-column: 2; height: 1.6em; }
.weekdays { display: grid; grid-template-rows: repeat(7, 1fr); line-height: 1; align-items: center; }
@container (max-width: 30rem) { .weekdays { display: none; } .calendar { grid-template-columns: 64em; overflow-x: auto; padding-bottom: 2.4em; } .calendar > .ticks { grid-column: 1; } }
.cell { fill: var(--empty); stroke: color-mix(in srgb, var(--quiet) 45%, transparent); stroke-width: .5; }
.cell.level { fill: var(--c1); }
.missing { fill: none; stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 2 2; }
.later { fill-opacity: .4; stroke: none; }
.l1 { fill-opacity: .3; } .l2 { fill-opacity: .5; } .l3 { fill-opacity: .75; } .l4 { fill-opacity: 1; }
.l1, .l2, .l3, .l4 { stroke: var(--c1); stroke-width: .5; }
.today { stroke: var(--ink); stroke-width: 1.5; }
.legend button { display: flex; gap: .4em; align-items: center; min-height: 24px; padding: 0; border: 0; text-align: left; }
.legend [aria-pressed="false"] { opacity: .55; text-decoration: line-through; }
button { padding: 0 .5em; border: 1px solid var(--rule); border-radius: 4px; background: none; color: inherit; font: inherit; cursor: pointer; }
button:disabled { opacity: .45; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
details { margin-top: .5em; font-size: .86em; }
summary { cursor: pointer; }
.scroll { position: relative; max-height: 22em; overflow: auto; margin-top: .4em; }
.whole { max-height: none; }
table { width: 100%; border-collapse: collapse; font-size: .95em; }
th, td { padding: .35em .7em; text-align: left; vertical-align: baseline; font-weight: inherit; }
td { max-width: 24em; }
thead th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
tbody tr { border-top: 1px solid var(--rule); }
.number { text-align: right; white-space: nowrap; }
.rank { width: 1%; padding-inline: 0 .35em; }
thead button { padding: 0; border: 0; font-weight: 600; }
thead bdi { display: inline-block; }
thead bdi::first-letter { text-transform: uppercase; }
thead button::after { content: "↕"; display: inline-block; width: 1em; margin-left: .25em; opacity: .45; }
[aria-sort="ascending"] button::after { content: "↑"; opacity: 1; }
[aria-sort="descending"] button::after { content: "↓"; opacity: 1; }
td a { color: var(--accent); }
time { white-space: nowrap; }
.charts:has([value="3h"]:checked) .plot:not([data-range="3h"]),
.charts:has([value="7d"]:checked) .plot:not([data-range="7d"]),
.charts:has([value="30d"]:checked) .plot:not([data-range="30d"]),
.charts:has([value="1y"]:checked) .plot:not([data-range="1y"]),
.charts:has([value="all"]:checked) .plot:not([data-range="all"]) { display: none; }
.chart-controls, .chart-tools { display: flex; flex-wrap: wrap; gap: .4em .8em; align-items: center; margin-bottom: .6em; font-size: .86em; }
.chart-tools { margin: .5em 0 0; }
.chart-tools button { min-height: 24px; }
.segments { display: flex; min-width: 0; margin: 0; padding: 1px; border: 1px solid var(--rule); border-radius: 6px; }
.segments label { position: relative; }
.segments input { position: absolute; opacity: 0; }
.segments span { display: block; padding: .15em .6em; border-radius: 4px; cursor: pointer; white-space: nowrap; }
.segments :checked + span { background: var(--empty); font-weight: 600; }
.segments :focus-visible + span { outline: 2px solid var(--accent); }
.segments :disabled + span { opacity: .5; cursor: default; }
.check { display: flex; gap: .35em; align-items: center; }
.reading { margin-top: .5em; color: var(--quiet); font-size: .8em; }
.days { position: relative; touch-action: pan-y; }
.marked { stroke: var(--ink); stroke-width: 2; }
`);

// Dark hosts seldom declare it by color-scheme; the colour of their text tells.
const schemes = Object.fromEntries(["light", "dark"].map((scheme) => {
  const said = new CSSStyleSheet();
  said.replaceSync(`:host { color-scheme: ${scheme}; }`);
  return [scheme, said];
}));

/** Whether text of a CSS colour is light, so that its background is dark. */
function isLight(colour) {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140;
}

/** Milliseconds that a timer can wait, about 24 days. */
const MOST_PATIENCE = 2 ** 31 - 1;

/** One client for each site; one watch polls its index for all elements of the page. */
class Site {
  static #all = new Map();
  #elements = new Set();
  #stop;

  static of(address) {
    const client = address ? new Client(address) : new Client();
    if (!Site.#all.has(client.base)) Site.#all.set(client.base, new Site(client));
    return Site.#all.get(client.base);
  }

  constructor(client) {
    this.client = client;
  }

  join(element) {
    this.#elements.add(element);
    this.#stop ??= this.client.watch(
      () => this.#elements.forEach((one) => one.refresh()),
      { onerror: (error) => this.#elements.forEach((one) => one.failed(error)) },
    );
  }

  leave(element) {
    this.#elements.delete(element);
    if (this.#elements.size) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}

/** An element that draws a statistic: a subclass implements `draw`, which returns the nodes to show. */
export class StatscacheElement extends HTMLElement {
  static observedAttributes = [
    "site", "plugin", "key", "window", "label", "weeks", "year", "resolution", "days", "document", "list", "columns", "sort", "limit", "inline", "controls",
  ];
  #site;
  #asked = 0;
  #shown = false;
  #off = [];
  #explorer;
  #due;
  #dark = matchMedia("(prefers-color-scheme: dark)");
  #follow = () => this.#match();

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  }

  connectedCallback() {
    this.#site = Site.of(this.getAttribute("site"));
    this.#dark.addEventListener("change", this.#follow);
    if (!this.#shown) this.#show(d.element("span", { "aria-busy": "true" }, d.element("slot", {}, d.element("span", { class: "quiet" }, this.hasAttribute("inline") ? "…" : "Loading…"))));
    this.refresh();
    this.#site.join(this);
  }

  disconnectedCallback() {
    clearTimeout(this.#due);
    this.#dark.removeEventListener("change", this.#follow);
    this.#site.leave(this);
    this.#site = undefined;
  }

  attributeChangedCallback(name, before, now) {
    if (!this.#site || before === now) return;
    if (name === "site") {
      this.disconnectedCallback();
      this.connectedCallback();
    } else {
      this.refresh();
    }
  }

  /** Reads the documents again and draws them; the latest request wins. */
  async refresh() {
    const asked = ++this.#asked;
    const { client } = this.#site;
    try {
      const plugin = this.getAttribute("plugin");
      if (!plugin) throw new TypeError(`the element ${this.localName} needs an attribute plugin, such as plugin="volume"`);
      const index = await client.discover();
      const about = index.plugins.find(({ name }) => name === plugin);
      if (!about) {
        const like = near(index.plugins.map(({ name }) => name), plugin);
        throw new NotPublished(`there is no statistic ${JSON.stringify(plugin)}${like.length ? `; did you mean ${like.join(" or ")}?` : ""}`);
      }
      const drawn = await this.draw(client, index, about);
      if (asked !== this.#asked) return;
      this.#shown = true;
      this.#show(...drawn, this.hasAttribute("inline") ? "" : this.#note(client, index, about));
      clearTimeout(this.#due);
      const left = index.expires_at * 1000 - Date.now();
      if (left > 0) this.#due = setTimeout(() => this.#overdue(client, index, about), Math.min(left + 1000, MOST_PATIENCE));
    } catch (error) {
      if (asked === this.#asked) this.failed(error);
    }
  }

  /** Says that the data are old, also if nothing newer can be fetched. */
  #overdue(client, index, about) {
    this.shadowRoot.querySelector(".note")?.replaceWith(this.#note(client, index, about));
    this.refresh();
  }

  /** Shows an error, unless older numbers are shown. */
  failed(error) {
    if (this.#shown && !(error instanceof NotPublished) && !(error instanceof TypeError)) return;
    this.#shown = false;
    const where = d.element("p", { class: "quiet" }, "From ", d.foreign(this.#site?.client.base ?? ""));
    const words = `No statistic here: ${d.clean(error.message, 400)}${/[.?]$/.test(error.message) ? "" : "."}`;
    const problem = this.hasAttribute("inline") ? d.element("span", { title: words, role: "status" }, "—", d.element("span", { class: "hidden" }, words)) : d.element("div", { class: "problem", part: "problem", role: "status" }, d.element("p", {}, d.foreign(words, 500)), where);
    // The element's own children are its fallback.
    this.#show(d.element("slot", {}, problem));
    if (this.childNodes.length) console.info(words);
  }

  /** Chooses light or dark colours by the text colour of the page. */
  #match() {
    this.shadowRoot.adoptedStyleSheets = [sheet];
    this.shadowRoot.adoptedStyleSheets = [sheet, schemes[isLight(getComputedStyle(this).color) ? "dark" : "light"]];
  }

  #show(...children) {
    // An open table stays open after an update.
    const open = this.shadowRoot.querySelector("details")?.open;
    const focused = this.shadowRoot.activeElement?.dataset.name;
    this.shadowRoot.replaceChildren(...children);
    this.#match();
    const details = this.shadowRoot.querySelector("details");
    if (details && open) details.open = true;
    if (focused) this.shadowRoot.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  }

  #note(client, index, about) {
    const link = d.element("a", { href: `${client.base}plugins/${about.name}/index.html` }, "What is counted");
    const newest = this.newest(index);
    const through = newest === null ? ["No data yet"] : ["Data through ", d.clock(newest)];
    const late = isLate(index) ? " · overdue, so it may be old" : "";
    const since = about.since === null || about.since > newest ? [] : [" · since ", d.clock(about.since, d.day)];
    const state = about.state === "ok" ? "" : ` · ${about.state}`;
    return d.element("p", { class: "note", part: "note" }, ...through, ...since, late, state, " · ", link);
  }

  /** The time through which the shown documents go: that of fast documents, unless a subclass says otherwise. */
  newest(index) {
    return index.through;
  }

  /** The key in the attribute: text, or a JSON array of text and null. */
  get key() {
    const text = this.getAttribute("key");
    if (text === null || !text.startsWith("[")) return text === null ? null : [text];
    const key = JSON.parse(text);
    if (!key.every((part) => part === null || typeof part === "string")) throw new TypeError("key is not an array of text and null");
    return key;
  }

  /** Throws if a document is not published, and lists those that are; nothing is fetched in vain. */
  need(about, name) {
    const root = `v1/plugins/${about.name}/`;
    const known = about.documents.map(({ path }) => path.slice(root.length)).filter((path) => path.endsWith(".json"));
    if (!known.includes(name)) throw new NotPublished(`${about.name} has no ${name}; it has: ${known.join(", ") || "nothing yet"}`);
  }

  /** A chart of a model with its legend; keys that were turned off stay off after an update. */
  chart(model, title, about) {
    const box = d.element("div", { class: "drawing", part: "chart", "data-name": "chart" });
    const legend = d.element("ul", { class: "legend", part: "legend" });
    const show = () => chart.show(model, { off: this.#off }, draw);
    const chart = new Chart(box, legend, {
      title,
      unit: about.unit,
      changed: (off) => {
        this.#off = off;
        show();
      },
    });
    show();
    const hatched = model.starts.some((_, at) => model.partial?.[at] || model.curves[0].values[at] === null);
    return [box, legend, hatched ? d.element("p", { class: "note" }, "Hatched: not wholly known, which is not zero.") : null];
  }

  /** A chart with ranges, views, log scale and downloads; its settings survive updates. */
  async explorable(client, about, source, first) {
    const { explorable } = await import("./controls.js");
    const { key } = this;
    const title = key ? `${about.title}: ${d.label(key)}` : about.title;
    const of = { plugin: about.name, name: key ? d.label(key) : "", title, unit: about.unit, base: client.base, key, isUnbounded: about.unbounded };
    const explorer = await explorable(of, source, { first, words: this.#explorer?.words ?? this.getAttribute("controls") });
    this.#explorer = explorer;
    return [d.element("figure", {}, this.caption(about, ""), explorer.root)];
  }

  number(name, fallback, least, most) {
    const value = Number(this.getAttribute(name) ?? fallback);
    if (!Number.isInteger(value) || value < least || value > most) throw new TypeError(`${name} is a whole number from ${least} to ${most}`);
    return value;
  }

  caption(about, rest) {
    const title = this.getAttribute("label") ?? (this.key ? `${about.title}: ${d.label(this.key)}` : about.title);
    return d.element("figcaption", { part: "caption" }, d.element("strong", {}, d.foreign(title)), d.element("span", {}, rest));
  }
}
