// Statistics on anyone's page, as custom elements:
//
//   <script type="module" src="https://stats.example.org/assets/widgets.js"></script>
//   <statscache-count plugin="volume" window="last_24h"></statscache-count>
//
// The site's docs/widgets/ lists the elements, their attributes and the CSS properties that theme them.

import { NotPublished, unknownDays } from "./statscache.js";
import { StatscacheElement } from "./element.js";
import { entityOf, pageOf } from "./names.js";
import * as d from "./parts.js";
import { bucketName } from "./readout.js";
import { curvesOf, documentsOf, ofKey, ofSeries } from "./keymodels.js";
import { buckets, fewest, knownFrom, labelled, modelOf } from "./models.js";

const WINDOWS = { last_24h: "in the last 24 full hours", last_7d: "in the last 7 full days", last_30d: "in the last 30 full days", total: "in all", last_day: "in the last full day", last_week: "in the last full week", last_month: "in the last full month" };
const HEADS = { timestamp: "Time", total: "Total", last_24h: "Last 24 h", last_7d: "Last 7 days", last_30d: "Last 30 days" };
const LONGER = { "1w": 7 * d.DAY, "1mo": null };
const LENGTHS = { last_7d: 7 * d.DAY, last_30d: 30 * d.DAY };

/** One number: of a statistic, or of one key of it. */
class Count extends StatscacheElement {
  #since = null;

  async draw(client, index, about) {
    const name = this.getAttribute("window") ?? (about.unbounded ? "total" : !d.addsUpInTime(about) ? "last_day" : "last_24h");
    if (!Object.hasOwn(WINDOWS, name)) throw new TypeError(`window is one of ${Object.keys(WINDOWS).join(", ")}`);
    const value = await this.#value(client, index, about, name);
    const caption = this.getAttribute("label") ?? `${about.unit} ${WINDOWS[name]}`;
    const shown = value === null ? d.unknown(this.#since) : d.number(value);
    if (this.hasAttribute("inline")) {
      const newest = this.newest(index);
      return [d.element("span", { part: "number", title: `${caption}${newest === null ? "" : `, through ${d.minute(newest)}`}` }, shown)];
    }
    return [d.element("p", { class: "count" }, d.element("strong", { part: "number" }, shown), d.element("span", { class: "quiet" }, d.foreign(caption)))];
  }

  newest(index) {
    return this.key && index.plugins.find(({ name }) => name === this.getAttribute("plugin"))?.unbounded ? index.slow_through : index.through;
  }

  /** No number of the whole window: it is known since then only. */
  #unknown(since) {
    this.#since = since;
    return null;
  }

  async #value(client, index, about, name) {
    const { key } = this;
    if (about.unbounded && key) {
      const found = await client.key(about.name, ...key);
      if (!found || name === "total") return found?.total ?? 0;
      if (!LENGTHS[name]) throw new TypeError("a key of this statistic is counted by day: window is last_7d, last_30d or total");
      const end = Math.floor((index.slow_through ?? 0) / d.DAY) * d.DAY;
      const missing = unknownDays(about, end - LENGTHS[name], end).at(-1);
      if (missing) return this.#unknown(missing[1] < end ? missing[1] : null);
      const days = Object.values(found.days).flat();
      return days.reduce((sum, [time, value]) => sum + (time >= end - LENGTHS[name] && time < end ? value : 0), 0);
    }
    if (about.unbounded) throw new TypeError("of this statistic only the greatest keys are listed: it needs an attribute key");
    this.need(about, "latest.json");
    const { rows, partial } = await client.latest(about.name);
    const headline = Object.entries(about.headline ?? {});
    const counts = key ? (row) => about.dimensions.every((dimension, at) => row[dimension] === key[at]) : (row) => headline.every(([dimension, text]) => row[dimension] === text);
    const wanted = rows.filter(counts);
    if (wanted.length && !wanted.some((row) => Number.isFinite(row[name]))) throw new TypeError(`its rows have no field ${name}`);
    if (wanted.length > 1 && !d.keysAddUp(about)) throw new TypeError("numbers of several keys do not add up here: it needs an attribute key");
    // What is not wholly known is not shown as a number of the whole window.
    if (partial && Object.hasOwn(partial, name)) return this.#unknown(partial[name]);
    return wanted.reduce((sum, row) => sum + row[name], 0);
  }
}

/** A person's weeks, stacked by what they did. */
class Activity extends StatscacheElement {
  newest(index) {
    return index.slow_through;
  }

  async draw(client, index, about) {
    const { key } = this;
    if (!key) throw new TypeError("it needs an attribute key, such as the name of a person");
    if (!about.unbounded) throw new NotPublished(`${about.name} publishes no documents of its keys`);
    if (this.hasAttribute("controls")) return this.explorable(client, about, ofKey(client, index, about, key), "1y");
    const weeks = this.number("weeks", 52, 1, 520);
    // The week that is not over is not drawn: it would look like a fall.
    const last = d.monday(index.slow_through ?? 0) - 7 * d.DAY;
    const from = last - (weeks - 1) * 7 * d.DAY;
    const starts = Array.from({ length: weeks }, (_, at) => from + at * 7 * d.DAY);
    const cut = { starts, end: last + 7 * d.DAY, seconds: 7 * d.DAY, bucket: (time) => (d.monday(time) - from) / (7 * d.DAY) };
    const { named, partial, soFar } = curvesOf(await documentsOf(client, about.name, key, from), cut, about, true);
    const least = (is) => (is ? "at least " : "");
    // The parts of a key add up: each event is in one.
    const curves = labelled(fewest(named, true).filter(({ values }) => d.sum(values)), "");
    const sums = starts.map((_, at) => d.sum(curves.map(({ values }) => values[at])));
    const isPartial = unknownDays(about, last + 7 * d.DAY, (index.slow_through ?? 0) + 1).length > 0;
    const newest = soFar ? `, and ${least(isPartial)}${d.number(soFar)} in the one that is not over` : "";
    const amount = `${least(partial.includes(true))}${d.number(d.sum(sums))} ${about.unit} in ${weeks} weeks${newest}`;
    const title = `${about.title}, ${d.label(key)}: ${amount}`;
    const all = curves.length ? curves : [{ name: about.unit, label: about.unit, values: sums }];
    const model = { ...cut, additive: true, keysAddUp: true, partial, curves: all };
    const heads = ["Week of", ...curves.map(({ label }) => label), "All"];
    const counted = starts.map((_, at) => at).filter((at) => sums[at]).reverse();
    const rows = counted.map((at) => [d.day(starts[at]), ...[...curves.map(({ values }) => values[at]), sums[at]].map((value) => d.said(value, partial[at]))]);
    return [
      d.element("figure", {}, this.caption(about, amount), ...this.chart(model, title, about)),
      d.asTable(title, heads, rows),
    ];
  }
}

/** Whether a row of a series counts: one of the headline, where no key is asked for. */
function inHeadline(about, key, columns) {
  const wanted = key ? [] : Object.entries(about.headline ?? {}).map(([name, value]) => [columns.indexOf(name), value]);
  return (row) => wanted.every(([at, value]) => row[at] === value);
}

const amountOf = (about, value, span) => `${d.number(value)} ${about.unit} in ${d.addsUpInTime(about) ? "" : "the busiest bucket of "}${span}`;

/** The values of several keys in one bucket as one. */
const ofKeys = (about, key, values) => d.together(values, key !== null || d.keysAddUp(about));

const STEPS = { ArrowLeft: -7, ArrowRight: 7, ArrowUp: -1, ArrowDown: 1, PageUp: -28, PageDown: 28, Home: -Infinity, End: Infinity };

/** Days of a year that are read by pointer, touch and keyboard: one is marked, and a box says what it has. */
function readable(cells, said, title, today) {
  const tip = d.element("div", { class: "tip", hidden: true });
  const box = d.element("div", { class: "days", role: "slider", tabindex: 0, "data-name": "days", "aria-label": title, "aria-valuemin": 0, "aria-valuemax": said.length - 1 }, cells, tip);
  const all = [...cells.children];
  let now = today;
  const read = (at, isShown = true) => {
    all[now].classList.remove("marked");
    now = at;
    all[now].classList.toggle("marked", isShown);
    box.setAttribute("aria-valuenow", now);
    box.setAttribute("aria-valuetext", said[now]);
    tip.textContent = said[now];
    tip.hidden = !isShown;
    const { left, width } = box.getBoundingClientRect();
    const cell = all[now].getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(cell.left - left, width - tip.offsetWidth))}px`;
    tip.style.top = `${cell.bottom - box.getBoundingClientRect().top + 6}px`;
  };
  read(today, false);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") read(now, false);
    if (!Object.hasOwn(STEPS, event.key)) return;
    event.preventDefault();
    read(Math.max(0, Math.min(said.length - 1, now + STEPS[event.key])));
    all[now].scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  for (const name of ["pointermove", "pointerdown"]) box.addEventListener(name, ({ target }) => all.includes(target) && read(all.indexOf(target)));
  box.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && read(now, false));
  box.addEventListener("blur", () => read(now, false));
  return box;
}

/** A year of days, of one key or of a whole statistic. */
class Calendar extends StatscacheElement {
  #chosen = null;

  newest(index) {
    return index.slow_through;
  }

  async draw(client, index, about) {
    const newest = d.year(index.slow_through ?? 0);
    const shown = this.#chosen ?? this.number("year", newest, 1970, 9999);
    const [start, end] = [d.startOf(shown), d.startOf(shown + 1)];
    const through = index.slow_through ?? 0;
    const { days, gaps, oldest } = await this.#days(client, about, shown, start, Math.max(start, Math.min(end, through + 1)));
    const least = gaps.length ? "at least " : "";
    const amount = least + amountOf(about, d.together([...days.values()], d.addsUpInTime(about)), shown);
    const title = `${this.key ? `${about.title}, ${d.label(this.key)}` : about.title}: ${amount}`;
    const missing = (time) => gaps.some(([low, high]) => time >= low && time < high);
    for (let time = start; time < end; time += d.DAY) if (missing(time)) days.set(time, null);
    const today = Math.floor(through / d.DAY) * d.DAY;
    const first = d.monday(start);
    const columns = (d.monday(end - 1) - first) / (7 * d.DAY) + 1;
    const busy = [...new Set([...days.values()].filter(Boolean))].sort((a, b) => a - b);
    // Quarters of the values that there are: one extreme day does not make the others pale, and the busiest is darkest.
    const quarters = [0.25, 0.5, 0.75].map((share) => busy[Math.floor(busy.length * share) - 1] ?? 0);
    const cells = d.svg("svg", { viewBox: `0 0 ${columns * 12} ${7 * 12}`, "aria-hidden": "true" });
    const said = [];
    const ticks = d.element("div", { class: "ticks flush", "aria-hidden": "true" });
    for (let time = start; time < end; time += d.DAY) {
      const at = (time - first) / d.DAY;
      const value = days.has(time) ? days.get(time) : 0;
      const isLater = time > through;
      const isToday = time === today && value !== null;
      const level = value ? 1 + quarters.filter((limit) => value > limit).length : 0;
      const form = level ? `cell level l${level}` : value === null ? "cell missing" : isLater ? "cell later" : "cell";
      const box = { class: isToday ? `${form} today` : form, x: Math.floor(at / 7) * 12 + 1, y: (at % 7) * 12 + 1, width: 10, height: 10, rx: 2 };
      said.push(`${d.day(time)}: ${value === null ? "unknown" : isLater ? "not yet" : `${d.number(value)} ${about.unit}${isToday ? " so far" : ""}`}`);
      cells.append(d.svg("rect", box, d.svg("title", {}, said.at(-1))));
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
    const box = d.element("div", { class: "calendar" }, ticks, names, readable(cells, said, title, Math.max(0, Math.min(said.length - 1, (today - start) / d.DAY))));
    // In a narrow one, the newest weeks are in view.
    const before = this.shadowRoot.querySelector(".calendar")?.scrollLeft;
    requestAnimationFrame(() => { box.scrollLeft = before ?? ((Math.min(today, end) - first) / (7 * d.DAY) / columns) * box.scrollWidth - 0.9 * box.clientWidth; });
    const caption = this.caption(about, amount);
    caption.append(d.element("span", { class: "turns" }, turn("Previous", -1, shown > oldest), " ", turn("Next", 1, shown < newest)));
    const rows = [...days].sort(([a], [b]) => b - a).map(([time, value]) => [d.day(time), value === null ? "unknown" : time === today ? `${d.number(value)} so far` : value]);
    return [
      d.element("figure", {}, caption, box, this.#legend(about, quarters, gaps.length > 0, today >= start && today < end && !missing(today))),
      d.asTable(title, ["Day", about.unit], rows),
    ];
  }

  /** What the shades stand for, from none to the busiest quarter of the days. */
  #legend(about, quarters, hasUnknown, hasToday) {
    const limits = [...new Set([0, ...quarters])].filter((limit) => limit >= 0);
    const level = (limit) => 1 + quarters.filter((each) => limit >= each).length;
    const items = limits.map((limit, at) => d.sign(`cell level l${level(limit)}`, at ? `over ${d.number(limit)}` : `1 or more ${about.unit}`));
    if (hasToday) items.push(d.sign("cell today", "so far"));
    if (hasUnknown) items.push(d.sign("cell missing", "unknown"));
    return d.element("ul", { class: "legend", part: "legend" }, d.sign("cell", "none"), ...items);
  }

  async #days(client, about, shown, start, end) {
    const { key } = this;
    if (key && about.unbounded) {
      const found = await client.key(about.name, ...key);
      const isOlder = found?.years.some(([year]) => year === shown) && !found.days[shown];
      const { days = {} } = (isOlder ? await client.keyYear(about.name, shown, ...key) : found) ?? {};
      return { days: new Map(days[shown] ?? []), gaps: unknownDays(about, start, end), oldest: found ? d.year(found.first) : shown };
    }
    this.need(about, "series/1d/index.json");
    const span = await client.series(about.name, "1d", start, end);
    const days = new Map();
    const rows = span.rows.filter(key ? ([, ...rest]) => key.every((part, at) => part === rest[at]) : inHeadline(about, key, span.columns));
    for (const row of rows) days.set(row[0], ofKeys(about, key, [days.get(row[0]) ?? 0, row.at(-1)]));
    return { days, gaps: span.gaps, oldest: d.year(span.since ?? start) };
  }
}

/** A statistic over time: gaps break the line, and it ends with the last bucket that is over. */
class Series extends StatscacheElement {
  get #resolution() {
    return this.getAttribute("resolution") ?? "1h";
  }

  newest(index) {
    return this.#resolution === "1m" ? index.through : index.slow_through;
  }

  async draw(client, index, about) {
    const resolution = this.#resolution;
    const through = this.newest(index) ?? 0;
    const days = this.number("days", { "1m": 1, "1h": 7 }[resolution] ?? 365, 1, 3660);
    const [additive, keysAddUp] = [d.addsUpInTime(about), d.keysAddUp(about)];
    if (this.hasAttribute("controls")) {
      if (this.key) throw new TypeError("with controls, it shows all keys: it takes no attribute key");
      this.need(about, "series/1d/index.json");
      const source = ofSeries(client, index, about, null, null, { additive, keysAddUp });
      const first = { "1m": "3h", "1h": "7d", "1d": "30d" }[resolution] ?? "1y";
      return this.explorable(client, about, source, source.ranges.includes(first) ? first : source.ranges[0]);
    }
    const published = about.documents.some(({ path }) => path.endsWith(`/series/${resolution}/index.json`));
    // Sums of days are sums of weeks and of months.
    const source = !published && additive && Object.hasOwn(LONGER, resolution) ? "1d" : resolution;
    this.need(about, `series/${source}/index.json`);
    const span = await client.series(about.name, source, through - days * d.DAY, through + 1);
    const headline = this.key ? {} : about.headline ?? {};
    const keys = this.key ? [d.label(this.key, 100)] : [];
    const width = source === resolution ? span.width : LONGER[resolution];
    const model = modelOf(span, buckets(knownFrom(span), span.complete_through, width), { additive, keysAddUp, headline, keys });
    for (const curve of model.curves) curve.label ||= about.unit;
    // What was counted around a gap, and since the last bucket that is over, is in the number, though it is not drawn.
    const rows = span.rows.filter(this.key ? ([, ...rest]) => this.key.every((part, at) => part === rest[at]) : inHeadline(about, this.key, span.columns));
    const byKey = new Map();
    for (const row of rows) {
      const name = JSON.stringify(row.slice(1, -1));
      byKey.set(name, d.together([byKey.get(name) ?? 0, row.at(-1)], additive));
    }
    const amount = (span.gaps.length ? "at least " : "") + amountOf(about, ofKeys(about, this.key, [...byKey.values()]), `${days} ${days === 1 ? "day" : "days"}`);
    const title = `${about.title}: ${amount} to ${d.minute(through)}`;
    const lines = model.starts.map((_, at) => [bucketName(model, at), ...model.curves.map(({ values }) => values[at] ?? "unknown")]);
    const shown = lines.filter((line) => line.slice(1).some((value) => value !== 0)).reverse();
    return [
      d.element("figure", {}, this.caption(about, amount), ...this.chart(model, title, about)),
      d.asTable(title, ["Start (UTC)", ...model.curves.map(({ label }) => label)], shown.slice(0, 400)),
    ];
  }
}

const words = (window) => window.replace(/^last_(\d+)d$/, "last $1 full days").replaceAll("_", " ");

/** Rows of a document: newest values, leaderboards. */
class Table extends StatscacheElement {
  #sorting = null;

  async draw(client, index, about) {
    const name = this.getAttribute("document") ?? "latest";
    const list = this.getAttribute("list") ?? "rows";
    this.need(about, `${name}.json`);
    const document = await client.document(about.name, name);
    const content = document[list];
    const partial = document.partial ?? {};
    if (!Array.isArray(content)) throw new NotPublished(`the document ${name} has no list ${JSON.stringify(list)}`);
    const rows = content.filter((row) => row !== null && typeof row === "object" && !Array.isArray(row));
    const present = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const fixed = [...about.dimensions, "timestamp", "value", "total", "last_30d", "last_7d", "last_24h"];
    const usual = [...fixed.filter((column) => present.includes(column)), ...present.filter((column) => !fixed.includes(column)).sort()];
    const columns = this.getAttribute("columns")?.split(/[\s,]+/).filter(Boolean) ?? usual;
    const sorting = this.#sorting ?? this.#attribute();
    const sorted = sorting ? [...rows].sort((a, b) => compare(a[sorting.column], b[sorting.column]) * (sorting.down ? -1 : 1)) : rows;
    const shown = sorted.slice(0, this.number("limit", 20, 1, 1000));
    const ranked = sorting?.down && !d.isTime(sorting.column) && rows.some((row) => typeof row[sorting.column] === "number");
    const ranks = ranked ? ranksOf(sorted.map((row) => row[sorting.column])) : null;
    const caption = this.getAttribute("label") ?? about.title;
    // A window of the whole document, such as that of a leaderboard.
    const [window, from] = Object.entries(document.partial ?? {}).find(([name]) => !present.includes(name)) ?? [];
    const least = window ? d.element("p", { class: "note" }, `Numbers are the least: not all of the ${words(window)} is known`, ...(from === null ? ["."] : [", but since ", d.clock(from), "."])) : null;
    const address = (column) => {
      const entity = entityOf(index, column);
      return entity && ((name) => pageOf(client, entity, name));
    };
    const head = d.element("tr", {}, ranks && d.element("th", { scope: "col", class: "number rank" }, "Rank"), ...columns.map((column) => this.#head(column, rows, sorting, about.unit)));
    const body = shown.map((row, at) => d.element("tr", {}, ranks && d.element("td", { class: "number quiet rank" }, d.number(ranks[at])), ...columns.map((column) => (Object.hasOwn(partial, column) && column in row ? d.element("td", { class: "quiet" }, d.unknown(partial[column])) : cell(row[column], column, address(column))))));
    const table = d.element("table", { part: "table" }, d.element("caption", { class: "hidden" }, d.foreign(caption)), d.element("thead", {}, head), d.element("tbody", {}, ...body));
    const more = shown.length < rows.length ? `${d.number(shown.length)} of ${d.number(rows.length)} rows` : `${d.number(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
    const scroll = d.element("div", { class: "scroll whole", tabindex: 0, role: "region", "aria-label": d.clean(caption) }, table);
    return [d.element("figure", {}, this.caption(about, more), rows.length ? scroll : d.element("p", { class: "quiet" }, "No rows yet."), least)];
  }

  #attribute() {
    const text = this.getAttribute("sort");
    return text ? { column: text.replace(/^-/, ""), down: text.startsWith("-") } : null;
  }

  #head(column, rows, sorting, unit) {
    const mine = sorting?.column === column;
    const numeric = rows.some((row) => typeof row[column] === "number");
    const button = d.element("button", { type: "button", "data-name": column }, d.foreign(column === "value" ? unit : Object.hasOwn(HEADS, column) ? HEADS[column] : column, 40));
    button.addEventListener("click", () => {
      this.#sorting = { column, down: mine ? !sorting.down : numeric };
      this.refresh();
    });
    const order = mine ? (sorting.down ? "descending" : "ascending") : null;
    return d.element("th", { scope: "col", class: numeric && column !== "timestamp" ? "number" : null, "aria-sort": order }, button);
  }
}

/** The rank of each value of a list, the greatest first; equal values have the same one. */
function ranksOf(values) {
  const ranks = [];
  values.forEach((value, at) => ranks.push(at && value === values[at - 1] ? ranks[at - 1] : at + 1));
  return ranks;
}

const { compare: inOrder } = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [a, b].map((value) => (value === null || value === undefined ? "" : String(value)));
  return inOrder(x, y);
}

/** A cell of a table; `address` gives the page of what its column names, if that has one. */
function cell(value, column, address) {
  if (value === undefined) return d.element("td");
  if (value === null) return d.element("td", { class: "quiet" }, "unknown");
  if (d.isTime(column) && d.isMoment(value)) return d.element("td", {}, d.clock(value));
  if (d.isDuration(column) && Number.isInteger(value)) return d.element("td", { class: "number" }, d.span(value));
  if (typeof value === "number") return d.element("td", { class: "number" }, d.number(value));
  if (typeof value === "boolean") return d.element("td", {}, value ? "yes" : "no");
  if (typeof value !== "string") return d.element("td", {}, d.element("code", {}, d.foreign(JSON.stringify(value))));
  if (address && value) return d.element("td", {}, d.element("a", { href: address(value) }, d.foreign(value)));
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
