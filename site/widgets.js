// Statistics on anyone's page, as custom elements:
//
//   <script type="module" src="https://stats.example.org/assets/widgets.js"></script>
//   <statscache-count plugin="volume" window="last_24h"></statscache-count>
//
// The site's docs/widgets/ lists the elements, their attributes and the CSS properties that theme them.

import { Client, isLate, NotPublished } from "./statscache.js";
import * as d from "./drawing.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  display: block; max-width: 100%; container-type: inline-size; overflow-wrap: anywhere; font-variant-numeric: tabular-nums;
  --ink: var(--statscache-ink, currentColor);
  --quiet: var(--statscache-quiet, light-dark(#5b636e, #a3abb6));
  --rule: var(--statscache-rule, light-dark(#dfe1e4, #30353c));
  --accent: var(--statscache-accent, light-dark(#1a56a6, #8ab8ff));
  --empty: var(--statscache-empty, light-dark(#e9ebee, #262b31));
  --c1: var(--statscache-c1, light-dark(#1f5fb4, #78acff)); --c2: var(--statscache-c2, light-dark(#b4530a, #f0a05a));
  --c3: var(--statscache-c3, light-dark(#18795a, #5ccb9c)); --c4: var(--statscache-c4, light-dark(#a3327d, #f08cc4));
  --c5: var(--statscache-c5, light-dark(#6b55c4, #b1a4ff)); --c6: var(--statscache-c6, light-dark(#80660a, #d9bf4e));
  --c7: var(--statscache-c7, light-dark(#0d7488, #5ccbe2)); --c8: var(--statscache-c8, light-dark(#6a717c, #a3abb6));
  color: var(--ink); font-family: var(--statscache-font, inherit); line-height: 1.4;
}
:host([hidden]) { display: none; }
*, *::before, *::after { box-sizing: border-box; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.quiet, .note, figcaption span { color: var(--quiet); }
figure, ul, p { margin: 0; padding: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 .75em; align-items: baseline; margin-bottom: .6em; }
figcaption strong { font-weight: 600; }
.note { margin-top: .5em; font-size: .8em; }
.note a, summary { color: var(--accent); }
.problem { padding: .6em .85em; border: 1px solid var(--rule); border-left: 3px solid var(--c2); border-radius: 4px; font-size: .9em; }
.problem p + p { margin-top: .3em; }
.count { display: flex; flex-wrap: wrap; gap: 0 .5em; align-items: baseline; }
.count strong { font-size: 2em; font-weight: 600; letter-spacing: -.02em; line-height: 1.1; }
.plot { position: relative; padding: .5em .25em 1.7em 2.75em; }
.plane { display: block; width: 100%; overflow: visible; }
.grid, .base { fill: none; stroke: var(--rule); vector-effect: non-scaling-stroke; }
.base { stroke: var(--quiet); }
.levels { position: absolute; left: 0; width: 2.4em; font-size: .78em; color: var(--quiet); }
.levels span { position: absolute; right: 0; transform: translateY(-50%); }
.ticks { position: relative; height: 0; font-size: .78em; color: var(--quiet); }
.ticks span { position: absolute; top: .4em; transform: translateX(-50%); white-space: nowrap; }
.ticks.flush span { transform: none; top: 0; }
@container (max-width: 30rem) { .ticks span:nth-child(even) { display: none; } }
.line { fill: none; stroke: var(--c); stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.growing { stroke-dasharray: 2 4; }
.fill { fill: var(--c); }
.gap { fill: var(--quiet); fill-opacity: .18; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); } .c8 { --c: var(--c8); }
.legend { display: flex; flex-wrap: wrap; gap: .15em 1.1em; margin-top: .5em; list-style: none; font-size: .86em; }
.legend li { display: flex; gap: .4em; align-items: center; min-width: 0; }
.legend svg { flex: none; width: .7em; height: .7em; }
.calendar { display: grid; grid-template-columns: auto 1fr; gap: 0 .4em; font-size: .72em; color: var(--quiet); }
.calendar svg { display: block; width: 100%; height: auto; }
.calendar .ticks { grid-column: 2; height: 1.6em; }
.weekdays { display: grid; grid-template-rows: repeat(7, 1fr); line-height: 1; align-items: center; }
@container (max-width: 30rem) { .weekdays { display: none; } .calendar { grid-template-columns: 1fr; } .calendar .ticks { grid-column: 1; } }
.cell { fill: var(--empty); }
.cell.level { fill: var(--c1); }
.l1 { fill-opacity: .3; } .l2 { fill-opacity: .5; } .l3 { fill-opacity: .75; } .l4 { fill-opacity: 1; }
.l1, .l2, .l3, .l4 { stroke: var(--c1); stroke-width: .5; }
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
thead button { padding: 0; border: 0; font-weight: 600; }
thead button::after { content: "↕"; display: inline-block; width: 1em; margin-left: .25em; opacity: .45; }
[aria-sort="ascending"] button::after { content: "↑"; opacity: 1; }
[aria-sort="descending"] button::after { content: "↓"; opacity: 1; }
td a { color: var(--accent); }
time { white-space: nowrap; }
`);

const WINDOWS = { last_24h: "in the last 24 full hours", last_7d: "in the last 7 full days", last_30d: "in the last 30 full days", total: "in all" };
const HEADS = { timestamp: "Time", total: "Total", last_24h: "Last 24 h", last_7d: "Last 7 days", last_30d: "Last 30 days" };
const LENGTHS = { last_7d: 7 * d.DAY, last_30d: 30 * d.DAY };

/** One client for each site, whose index one watch asks for, for all elements of the page. */
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

class StatscacheElement extends HTMLElement {
  static observedAttributes = [
    "site", "plugin", "key", "window", "label", "weeks", "year", "resolution", "days", "document", "list", "columns", "sort", "limit",
  ];
  #site;
  #asked = 0;
  #shown = false;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  }

  connectedCallback() {
    this.#site = Site.of(this.getAttribute("site"));
    if (!this.#shown) this.#show(d.element("p", { class: "quiet" }, "Loading…"));
    this.refresh();
    this.#site.join(this);
  }

  disconnectedCallback() {
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

  /** Reads the documents anew and draws them; what was asked for last wins. */
  async refresh() {
    const asked = ++this.#asked;
    const { client } = this.#site;
    try {
      const plugin = this.getAttribute("plugin");
      if (!plugin) throw new TypeError(`the element ${this.localName} needs an attribute plugin, such as plugin="volume"`);
      const index = await client.discover();
      const about = index.plugins.find(({ name }) => name === plugin);
      if (!about) {
        const known = index.plugins.map(({ name }) => name).slice(0, 12);
        throw new NotPublished(`there is no statistic ${JSON.stringify(plugin)}; there are: ${known.join(", ") || "none"}`);
      }
      const drawn = await this.draw(client, index, about);
      if (asked !== this.#asked) return;
      this.#shown = true;
      this.#show(...drawn, this.#note(client, index, about));
    } catch (error) {
      if (asked === this.#asked) this.failed(error);
    }
  }

  /** Says what is wrong, unless there are older numbers to look at. */
  failed(error) {
    if (this.#shown && !(error instanceof NotPublished) && !(error instanceof TypeError)) return;
    this.#shown = false;
    const where = d.element("p", { class: "quiet" }, "From ", d.foreign(this.#site?.client.base ?? ""));
    this.#show(
      d.element("div", { class: "problem", role: "status" }, d.element("p", {}, "No statistic here: ", d.foreign(error.message, 400), "."), where),
    );
  }

  #show(...children) {
    // An open table stays open when new numbers come.
    const open = this.shadowRoot.querySelector("details")?.open;
    const focused = this.shadowRoot.activeElement?.dataset.name;
    this.shadowRoot.replaceChildren(...children);
    const details = this.shadowRoot.querySelector("details");
    if (details && open) details.open = true;
    if (focused) this.shadowRoot.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  }

  #note(client, index, about) {
    const link = d.element("a", { href: `${client.base}plugins/${about.name}/index.html` }, "What is counted");
    const through = index.through === null ? ["No data yet"] : ["Data through ", d.clock(index.through)];
    const late = isLate(index) ? " · overdue, so it may be old" : "";
    const state = about.state === "ok" ? "" : ` · ${about.state}`;
    return d.element("p", { class: "note", part: "note" }, ...through, late, state, " · ", link);
  }

  /** The key that the attribute names: text, or a JSON array of text and null. */
  get key() {
    const text = this.getAttribute("key");
    if (text === null || !text.startsWith("[")) return text === null ? null : [text];
    const key = JSON.parse(text);
    if (!key.every((part) => part === null || typeof part === "string")) throw new TypeError("key is no array of text and null");
    return key;
  }

  /** Fails where a document is not published, and says what is; nothing is asked for that is not there. */
  need(about, name) {
    const root = `v1/plugins/${about.name}/`;
    const known = about.documents.map(({ path }) => path.slice(root.length)).filter((path) => path.endsWith(".json"));
    if (!known.includes(name)) throw new NotPublished(`${about.name} has no ${name}; it has: ${known.join(", ") || "nothing yet"}`);
  }

  number(name, fallback, least, most) {
    const value = Number(this.getAttribute(name) ?? fallback);
    if (!Number.isInteger(value) || value < least || value > most) throw new TypeError(`${name} is a whole number from ${least} to ${most}`);
    return value;
  }

  caption(about, rest) {
    const title = this.getAttribute("label") ?? (this.key ? `${about.title}: ${d.label(this.key)}` : about.title);
    return d.element("figcaption", {}, d.element("strong", {}, d.foreign(title)), d.element("span", {}, rest));
  }
}

/** One number: of a statistic, or of one key of it. */
class Count extends StatscacheElement {
  async draw(client, index, about) {
    const name = this.getAttribute("window") ?? (about.unbounded ? "total" : "last_24h");
    if (!Object.hasOwn(WINDOWS, name)) throw new TypeError(`window is one of ${Object.keys(WINDOWS).join(", ")}`);
    const value = await this.#value(client, index, about, name);
    const caption = this.getAttribute("label") ?? `${about.unit} ${WINDOWS[name]}`;
    return [d.element("p", { class: "count" }, d.element("strong", {}, d.number(value)), d.element("span", { class: "quiet" }, d.foreign(caption)))];
  }

  async #value(client, index, about, name) {
    const { key } = this;
    if (about.unbounded && key) {
      const found = await client.key(about.name, ...key);
      if (!found || name === "total") return found?.total ?? 0;
      if (!LENGTHS[name]) throw new TypeError("a key of this statistic is counted by day: window is last_7d, last_30d or total");
      const end = Math.floor((index.through ?? 0) / d.DAY) * d.DAY;
      const days = Object.values(found.days).flat();
      return days.reduce((sum, [time, value]) => sum + (time >= end - LENGTHS[name] && time < end ? value : 0), 0);
    }
    this.need(about, "latest.json");
    const { rows } = await client.latest(about.name);
    const wanted = key ? rows.filter((row) => about.dimensions.every((dimension, at) => row[dimension] === key[at])) : rows;
    if (wanted.length && !wanted.some((row) => Number.isFinite(row[name]))) throw new TypeError(`its rows have no field ${name}`);
    return wanted.reduce((sum, row) => sum + row[name], 0);
  }
}

/** A person's weeks, stacked by what they did. */
class Activity extends StatscacheElement {
  async draw(client, index, about) {
    const { key } = this;
    if (!key) throw new TypeError("it needs an attribute key, such as the name of a person");
    const weeks = this.number("weeks", 52, 1, 520);
    const found = await client.key(about.name, ...key);
    const last = d.monday(index.through ?? 0);
    const starts = Array.from({ length: weeks }, (_, at) => last - (weeks - 1 - at) * 7 * d.DAY);
    const parts = found?.parts?.length ? found.parts : found ? [{ days: found.days }] : [];
    const lines = d.fewest(
      parts.map((part) => {
        const values = starts.map(() => 0);
        for (const [time, value] of Object.values(part.days).flat()) {
          const at = weeks - 1 - (last - d.monday(time)) / (7 * d.DAY);
          if (at >= 0 && at < weeks) values[at] += value;
        }
        const name = Object.keys(part).find((field) => !["days", "total", "first", "last"].includes(field));
        return { label: name ? d.label([part[name]]) : about.unit, values };
      }),
    ).filter((line) => line.total);
    const sums = starts.map((_, at) => lines.reduce((sum, line) => sum + line.values[at], 0));
    const total = sums.reduce((sum, value) => sum + value, 0);
    const title = `${about.title}, ${d.label(key)}: ${d.number(total)} ${about.unit} in ${weeks} weeks to ${d.day(last + 6 * d.DAY)}`;
    const width = 1000 / weeks;
    const plot = d.plot({
      title,
      height: 150,
      scale: d.levels(0, Math.max(1, ...sums)),
      ticks: d.sparse(starts.map((time, at) => [(at + 0.5) / weeks, d.month(time), time]).filter(([, name], at, all) => name !== all[at - 1]?.[1]), 12),
      draw: (y) =>
        starts.flatMap((start, at) => {
          let below = 0;
          return lines.flatMap((line, number) => {
            const [value, from] = [line.values[at], below];
            below += value;
            const box = { class: `c${number + 1} fill`, x: (at * width + width * 0.12).toFixed(2), width: (width * 0.76).toFixed(2), y: y(below).toFixed(1), height: (y(from) - y(below)).toFixed(1) };
            return value ? [d.svg("rect", box, d.svg("title", {}, `Week of ${d.day(start)}: ${d.number(value)} ${line.label}`))] : [];
          });
        }),
    });
    const heads = ["Week of", ...lines.map((line) => line.label), "All"];
    const rows = starts.map((start, at) => [d.day(start), ...lines.map((line) => line.values[at]), sums[at]]).reverse();
    return [
      d.element("figure", {}, this.caption(about, `${d.number(total)} ${about.unit} in ${weeks} weeks`), plot, lines.length > 1 ? d.legend(lines) : null),
      d.asTable(title, heads, rows.filter((row) => row.at(-1))),
    ];
  }
}

/** A year of days, of one key or of a whole statistic. */
class Calendar extends StatscacheElement {
  #chosen = null;

  async draw(client, index, about) {
    const newest = d.year(index.through ?? 0);
    const shown = this.#chosen ?? this.number("year", newest, 1970, 9999);
    const [start, end] = [d.startOf(shown), d.startOf(shown + 1)];
    const { days, oldest } = await this.#days(client, about, shown, start, end);
    const total = [...days.values()].reduce((sum, value) => sum + value, 0);
    const title = `${this.key ? `${about.title}, ${d.label(this.key)}` : about.title}: ${d.number(total)} ${about.unit} in ${shown}`;
    const first = d.monday(start);
    const columns = (d.monday(end - 1) - first) / (7 * d.DAY) + 1;
    const busy = [...days.values()].sort((a, b) => a - b);
    // Quarters of the busy days, so that one extreme day does not make the others pale.
    const quarters = [0.25, 0.5, 0.75].map((share) => busy[Math.max(0, Math.floor(busy.length * share) - 1)]);
    const cells = d.svg("svg", { viewBox: `0 0 ${columns * 12} ${7 * 12}`, role: "img", "aria-label": title });
    const ticks = d.element("div", { class: "ticks flush", "aria-hidden": "true" });
    for (let time = start; time < end; time += d.DAY) {
      const at = (time - first) / d.DAY;
      const value = days.get(time) ?? 0;
      const level = value ? 1 + quarters.filter((limit) => value > limit).length : 0;
      const box = { class: level ? `cell level l${level}` : "cell", x: Math.floor(at / 7) * 12 + 1, y: (at % 7) * 12 + 1, width: 10, height: 10, rx: 2 };
      cells.append(d.svg("rect", box, d.svg("title", {}, `${d.day(time)}: ${d.number(value)} ${about.unit}`)));
      if (d.day(time).endsWith("-01")) {
        const name = d.element("span", {}, d.month(time));
        name.style.left = `${(Math.floor(at / 7) / columns) * 100}%`;
        ticks.append(name);
      }
    }
    const names = d.element("div", { class: "weekdays", "aria-hidden": "true" }, ...["Mon", "", "Wed", "", "Fri", "", ""].map((name) => d.element("span", {}, name)));
    const turn = (name, step, allowed) => {
      const button = d.element("button", { type: "button", "data-name": name, "aria-label": `${name} year`, disabled: !allowed }, step < 0 ? "←" : "→");
      button.addEventListener("click", () => {
        this.#chosen = shown + step;
        this.refresh();
      });
      return button;
    };
    const caption = this.caption(about, `${d.number(total)} ${about.unit} in ${shown}`);
    caption.append(turn("Previous", -1, shown > oldest), turn("Next", 1, shown < newest));
    const rows = [...days].sort(([a], [b]) => b - a).map(([time, value]) => [d.day(time), value]);
    return [
      d.element("figure", {}, caption, d.element("div", { class: "calendar" }, ticks, names, cells)),
      d.asTable(title, ["Day", about.unit], rows),
    ];
  }

  async #days(client, about, shown, start, end) {
    if (this.key) {
      const found = await client.key(about.name, ...this.key);
      return { days: new Map(found?.days[shown] ?? []), oldest: found ? d.year(found.first) : shown };
    }
    this.need(about, "series/1d/index.json");
    const span = await client.series(about.name, "1d", start, end);
    const days = new Map();
    for (const row of span.rows) days.set(row[0], (days.get(row[0]) ?? 0) + row.at(-1));
    return { days, oldest: d.year(span.since ?? start) };
  }
}

/** A statistic over time: gaps break the line, what is not over yet is dashed. */
class Series extends StatscacheElement {
  async draw(client, index, about) {
    const resolution = this.getAttribute("resolution") ?? "1h";
    const through = index.through ?? 0;
    const days = this.number("days", { "1m": 1, "1h": 7 }[resolution] ?? 365, 1, 3660);
    this.need(about, `series/${resolution}/index.json`);
    const span = await client.series(about.name, resolution, through - days * d.DAY, through + 1);
    const buckets = this.#buckets(span);
    const missing = (time) => span.gaps.some(([low, high]) => time >= low && time < high);
    const by = new Map();
    for (const [time, ...rest] of span.rows) {
      const name = d.label(rest.slice(0, -1));
      if (!by.has(name)) by.set(name, new Map());
      by.get(name).set(time, (by.get(name).get(time) ?? 0) + rest.at(-1));
    }
    const wanted = this.key ? [d.label(this.key)] : by.size ? [...by.keys()] : [""];
    const values = (name) => buckets.map((time) => (missing(time) ? null : by.get(name)?.get(time) ?? 0));
    // What was counted around a gap is in the sum, though the line breaks there.
    const sum = (name) => [...(by.get(name)?.values() ?? [])].reduce((total, value) => total + value, 0);
    const lines = d.fewest(wanted.map((name) => ({ label: name || about.unit, values: values(name), total: sum(name) })));
    const known = lines.flatMap((line) => line.values).filter((value) => value !== null);
    const total = lines.reduce((sum, line) => sum + line.total, 0);
    const title = `${about.title}: ${d.number(total)} ${about.unit} in ${days} days to ${d.minute(through)}`;
    const x = (at) => (((at + 0.5) * 1000) / buckets.length).toFixed(1);
    const plot = d.plot({
      title,
      height: 200,
      scale: d.levels(Math.min(0, ...known), Math.max(1, ...known)),
      ticks: d.sparse(this.#ticks(buckets), 8),
      draw: (y) => [
        ...buckets.flatMap((time, at) =>
          missing(time) ? [d.svg("rect", { class: "gap", x: ((at * 1000) / buckets.length).toFixed(1), width: (1000 / buckets.length).toFixed(1), height: 200 })] : [],
        ),
        ...lines.flatMap((line, number) => this.#strokes(line, number, buckets, span, x, y)).reverse(),
      ],
    });
    const rows = buckets.map((time, at) => [(resolution.endsWith("d") ? d.day : d.minute)(time), ...lines.map((line) => line.values[at] ?? "unknown")]);
    const shown = rows.filter((row) => row.slice(1).some((value) => value !== 0)).reverse();
    return [
      d.element("figure", {}, this.caption(about, `${d.number(total)} ${about.unit} in ${days} ${days === 1 ? "day" : "days"}`), plot, lines.length > 1 ? d.legend(lines) : null),
      d.asTable(title, ["Start (UTC)", ...lines.map((line) => line.label)], shown.slice(0, 400)),
    ];
  }

  /** The starts of all buckets; where they have no fixed width, of those with a row. */
  #buckets({ start, end, width, rows }) {
    if (!width) return [...new Set(rows.map(([time]) => time))];
    const from = rows.length ? Math.max(start, rows[0][0]) : start;
    return Array.from({ length: Math.min(20_000, Math.max(1, (end - from) / width)) }, (_, at) => from + at * width);
  }

  #ticks(buckets) {
    const place = (time, at) => [(at + 0.5) / buckets.length, time];
    const span = buckets.at(-1) - buckets[0];
    const starts = buckets.map(place);
    if (span <= 2 * d.DAY) return starts.filter(([, time]) => time % 3600 === 0).map(([at, time]) => [at, d.minute(time).slice(11, 16)]);
    const short = (time) => `${new Date(time * 1000).getUTCDate()}\u202f${d.month(time)}`;
    if (span <= 92 * d.DAY) return starts.filter(([, time]) => time % d.DAY === 0).map(([at, time]) => [at, short(time)]);
    return starts.filter(([, time]) => d.day(time).endsWith("-01")).map(([at, time]) => [at, d.month(time)]);
  }

  #strokes(line, number, buckets, span, x, y) {
    const strokes = [];
    let [solid, growing, joined] = ["", "", null];
    line.values.forEach((value, at) => {
      if (value === null) {
        joined = null;
        return;
      }
      const point = `${x(at)} ${y(value).toFixed(1)}`;
      const over = buckets[at] + (span.width ?? 0) <= span.complete_through;
      if (over) solid += joined ? `L${point}` : `M${point}h0`;
      else growing += joined ? `M${joined}L${point}` : `M${point}h0`;
      joined = point;
    });
    if (solid) strokes.push(d.svg("path", { class: `line c${number + 1}`, d: solid }));
    if (growing) strokes.push(d.svg("path", { class: `line growing c${number + 1}`, d: growing }));
    return strokes;
  }
}

/** Rows of a document: newest values, leaderboards. */
class Table extends StatscacheElement {
  #sorting = null;

  async draw(client, index, about) {
    const name = this.getAttribute("document") ?? "latest";
    const list = this.getAttribute("list") ?? "rows";
    this.need(about, `${name}.json`);
    const content = (await client.document(about.name, name))[list];
    if (!Array.isArray(content)) throw new NotPublished(`the document ${name} has no list ${JSON.stringify(list)}`);
    const rows = content.filter((row) => row !== null && typeof row === "object" && !Array.isArray(row));
    const present = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const fixed = [...about.dimensions, "timestamp", "value", "total", "last_30d", "last_7d", "last_24h"];
    const usual = [...fixed.filter((column) => present.includes(column)), ...present.filter((column) => !fixed.includes(column)).sort()];
    const columns = this.getAttribute("columns")?.split(/[\s,]+/).filter(Boolean) ?? usual;
    const sorting = this.#sorting ?? this.#attribute();
    const sorted = sorting ? [...rows].sort((a, b) => compare(a[sorting.column], b[sorting.column]) * (sorting.down ? -1 : 1)) : rows;
    const shown = sorted.slice(0, this.number("limit", 20, 1, 1000));
    const caption = this.getAttribute("label") ?? about.title;
    const head = d.element("tr", {}, ...columns.map((column) => this.#head(column, rows, sorting)));
    const body = shown.map((row) => d.element("tr", {}, ...columns.map((column) => cell(row[column], column))));
    const table = d.element("table", {}, d.element("caption", { class: "hidden" }, d.foreign(caption)), d.element("thead", {}, head), d.element("tbody", {}, ...body));
    const more = shown.length < rows.length ? `${d.number(shown.length)} of ${d.number(rows.length)} rows` : `${d.number(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
    const scroll = d.element("div", { class: "scroll whole", tabindex: 0, role: "region", "aria-label": d.clean(caption) }, table);
    return [d.element("figure", {}, this.caption(about, more), rows.length ? scroll : d.element("p", { class: "quiet" }, "No rows yet."))];
  }

  #attribute() {
    const text = this.getAttribute("sort");
    return text ? { column: text.replace(/^-/, ""), down: text.startsWith("-") } : null;
  }

  #head(column, rows, sorting) {
    const mine = sorting?.column === column;
    const numeric = rows.some((row) => typeof row[column] === "number");
    const button = d.element("button", { type: "button", "data-name": column }, d.foreign(Object.hasOwn(HEADS, column) ? HEADS[column] : column, 40));
    button.addEventListener("click", () => {
      this.#sorting = { column, down: mine ? !sorting.down : numeric };
      this.refresh();
    });
    const order = mine ? (sorting.down ? "descending" : "ascending") : null;
    return d.element("th", { scope: "col", class: numeric && column !== "timestamp" ? "number" : null, "aria-sort": order }, button);
  }
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [a, b].map((value) => (value === null || value === undefined ? "" : String(value)));
  return x < y ? -1 : x > y ? 1 : 0;
}

function cell(value, column) {
  if (value === undefined) return d.element("td");
  if (value === null) return d.element("td", { class: "quiet" }, "unknown");
  if (["timestamp", "start", "stop", "first", "last"].includes(column) && d.isMoment(value)) return d.element("td", {}, d.clock(value));
  if (typeof value === "number") return d.element("td", { class: "number" }, d.number(value));
  if (typeof value === "boolean") return d.element("td", {}, value ? "yes" : "no");
  if (typeof value !== "string") return d.element("td", {}, d.element("code", {}, d.foreign(JSON.stringify(value))));
  return d.element("td", {}, isWebAddress(value) ? d.element("a", { href: value, rel: "noopener noreferrer nofollow" }, d.foreign(value)) : d.foreign(value));
}

/** Only these become links: `javascript:` and `data:` stay text. */
function isWebAddress(text) {
  return text.length <= 2000 && /^https?:\/\/[^\s\u0000-\u001f]+$/.test(text) && URL.canParse(text);
}

const ELEMENTS = { count: Count, activity: Activity, calendar: Calendar, series: Series, table: Table };
for (const [name, cls] of Object.entries(ELEMENTS)) {
  if (!customElements.get(`statscache-${name}`)) customElements.define(`statscache-${name}`, cls);
}
