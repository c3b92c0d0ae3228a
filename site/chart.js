// Draws a chart: columns on top of each other, in a panel for each key, or lines to compare. A test compares it with what
// statscache/render/charts.py draws.
//
// A model is { starts, end, seconds, curves, additive, keysAddUp, partial }: the start of each bucket (all of `seconds`, or
// months where that is null), and for each curve { name, label, values, rest }. A value that is null is unknown; in a bucket
// that is `partial`, values are the least. Buckets are added up if `additive`, curves if `keysAddUp`.

import { clock, compact, DAY, element, label, middle, minute, month, monthOf, number, startOfMonth, sum, svg, together, year } from "./dom.js";

export const MOST_CURVES = 6;
const WIDE = 60;
const INSET = 0.12;
const FEWEST = 12;
const MOST_BUCKETS = 20_000;
const LONGEST_NAME = 100;
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY];
const WEEK = 7 * DAY;
// 1970 began on a Thursday.
const MONDAY = 4 * DAY;
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120];

const decimal = (value, places) => String(Number(value.toFixed(places)));
const above = (a, b) => b.raw - a.raw || (a.name < b.name ? -1 : 1);

/** What all names begin with, whole words between dots; empty if that is short. */
export function prefixOf(names) {
  const sorted = [...names].sort();
  if (!sorted[1]) return "";
  const [low, high] = [sorted[0], sorted.at(-1)];
  let at = 0;
  while (at < low.length && low[at] === high[at]) at += 1;
  const prefix = low.slice(0, low.lastIndexOf(".", at - 1) + 1);
  return prefix.length >= 8 && names.every((name) => name.length > prefix.length) ? prefix : "";
}

/** The curves with short labels, of which what all names begin with is not a part. */
export function labelled(curves, prefix = prefixOf(curves.filter(({ rest }) => !rest).map(({ name }) => name))) {
  return curves.map((curve) => ({ ...curve, label: curve.rest ? curve.name : middle(curve.name.slice(prefix.length)) }));
}

/** A name for each row of a series: its key, without the dimensions that are the same in all rows of the headline. */
export const naming = (columns, headline) => {
  const kept = columns.map((column, at) => at).filter((at) => at && at < columns.length - 1 && !Object.hasOwn(headline, columns[at]));
  return (row) => label(kept.map((at) => row[at]), LONGEST_NAME);
};

/** Rows `[time, …, value]` as one curve for each name; `bucket` numbers the bucket of a time. */
function every({ rows, gaps }, { starts, end, bucket }, name) {
  const by = new Map();
  for (const row of rows) {
    const at = bucket(row[0]);
    if (starts[at] === undefined) continue;
    if (!by.has(name(row))) by.set(name(row), starts.map(() => 0));
    by.get(name(row))[at] += row.at(-1);
  }
  const missing = starts.map((time, at) => gaps.some(([low, high]) => low < (starts[at + 1] ?? end) && high > time));
  return [...(by.size ? by : [["", starts.map(() => 0)]])].map(([name, values]) => ({ name, raw: sum(values), values: values.map((value, at) => (missing[at] ? null : value)) }));
}

/** The greatest curves by `raw`, and the sum of the rest as one, where they add up. */
export function fewest(curves, keysAddUp) {
  const ranked = [...curves].sort(above);
  if (ranked.length <= MOST_CURVES || !keysAddUp) return ranked.slice(0, MOST_CURVES);
  const rest = ranked.slice(MOST_CURVES - 1);
  const values = rest[0].values.map((value, at) => (value === null ? null : sum(rest.map((curve) => curve.values[at]))));
  return [...ranked.slice(0, MOST_CURVES - 1), { name: `other (${rest.length})`, values, rest: true }];
}

/** At most so many marks of the time axis, `[bucket, text]`. */
function ticks({ starts, end, seconds }, most) {
  const [start] = starts;
  const at = (time) => (seconds ? (time - start) / seconds : starts.indexOf(time));
  for (const step of STEPS) {
    if (seconds && step >= seconds && end - start <= step * most) {
      const offset = step === WEEK ? MONDAY : 0;
      const middle = step === seconds && seconds >= DAY ? 0.5 : 0;
      const found = [];
      for (let time = Math.ceil((start - offset) / step) * step + offset; time < end; time += step) {
        found.push([at(time) + middle, time % DAY ? minute(time).slice(11, 16) : `${new Date(time * 1000).getUTCDate()}\u202f${month(time)}`]);
      }
      return found;
    }
  }
  const [first, last] = [start, end].map(monthOf);
  const step = MONTHS.find((step) => last - first + 1 <= step * most) ?? 240;
  const found = Array.from({ length: last - first + 1 }, (_, at) => first + at).filter((each) => each % step === 0).map(startOfMonth);
  return found.filter((time) => time >= start && time < end).map((time) => [at(time), month(time) === "Jan" ? `Jan\u202f${year(time)}` : month(time)]);
}

function levels(low, high, log) {
  if (log) return [0, ...[...Array(16).keys()].map((power) => 10 ** power).filter((level) => level <= high)];
  const span = Math.max(1, high - low);
  const magnitude = 10 ** Math.max(0, Math.floor(Math.log10(span)) - 1);
  const step = magnitude * ([1, 2, 5, 10, 20].find((factor) => factor * magnitude * 4 >= span) ?? 50);
  const found = [];
  for (let level = step * Math.floor(low / step); level <= high; level += step) found.push(level);
  return found;
}

/** Columns from the baseline up. Few are apart; many touch, and are one outline. */
function columns(tops, ground) {
  const there = (at) => tops[at] !== undefined && tops[at] !== null && tops[at] !== ground;
  if (tops.length <= WIDE) return tops.map((top, at) => (there(at) ? `M${decimal(at + INSET, 2)} ${ground}V${top}h${decimal(1 - 2 * INSET, 2)}V${ground}z` : "")).join("");
  let path = "";
  for (let at = 0, next; at < tops.length; at = next) {
    for (next = at + 1; tops[next] === tops[at] && next < tops.length;) next += 1;
    if (there(at)) path += `${there(at - 1) ? "" : `M${at} ${ground}`}V${tops[at]}h${next - at}${there(next) ? "" : `V${ground}z`}`;
  }
  return path;
}

/** Points at the middle of each bucket; a single one is a path of no length, which round caps show. */
const line = (tops) => tops.map((top, at) => (top === null ? "" : `${(tops[at - 1] ?? null) === null ? `M${at + 0.5} ${top}h0` : ""}L${at + 0.5} ${top}`)).join("");

/** One surface with its axes. */
function plane(model, curves, { height, most, lines, log, top, id }) {
  const count = model.starts.length;
  let below = [];
  const stacked = curves.map(({ values }) => (lines ? values : (below = values.map((value, at) => (value === null ? null : value + (below[at] ?? 0))))));
  const known = stacked.flat().filter((value) => value !== null);
  const greatest = Math.max(1, ...known);
  const marks = levels(Math.min(0, ...known), log ? top : greatest, log).filter((level) => !log || level !== 1 || height > 100);
  const peak = (log ? top : greatest) * 1.04;
  const y = (value) => decimal(log ? height * (1 - Math.log1p(value) / Math.log1p(peak)) : (peak - value) * (height / (peak - marks[0])), 1);
  const share = (at) => `${decimal((at * 100) / Math.max(1, count), 2)}%`;
  const box = svg("svg", { class: "plane", width: "100%", height, "aria-hidden": "true" });
  for (const level of marks) box.append(svg("line", { class: "grid", x2: "100%", y1: y(level), y2: y(level) }), svg("text", { class: "y", x: -8, y: y(level), dy: ".35em" }, compact(level)));
  ticks(model, most).forEach(([at, text], number) => {
    box.append(
      svg("line", { class: "tick", x1: share(at), x2: share(at), y1: height, y2: height + 5 }),
      svg("text", { class: number % 2 ? "x second" : "x", x: share(at), y: height, dy: "1.6em" }, text),
    );
  });
  const hatch = svg("path", { class: "hatch", d: "M0 0v6" });
  box.append(svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, hatch));
  const missing = model.curves[0].values.map((value, at) => value === null || !!model.partial?.[at]);
  missing.forEach((is, at) => {
    if (!is || missing[at - 1]) return;
    const next = missing.indexOf(false, at);
    const band = { x: share(at), width: share((next < 0 ? count : next) - at), height };
    box.append(svg("rect", { class: "gap", ...band }), svg("rect", { fill: `url(#${id})`, ...band }));
  });
  const surface = svg("svg", { class: "surface", viewBox: `0 0 ${count || 1} ${height}`, width: "100%", height, preserveAspectRatio: "none" });
  const shapes = stacked.map((values, at) => {
    const tops = values.map((value) => (value === null ? null : y(value)));
    return svg("path", { class: `${lines ? "line" : "columns"} ${curves[at].colour}`, d: lines ? line(tops) : columns(tops, y(0)) });
  });
  surface.append(...shapes.reverse().filter((shape) => shape.getAttribute("d")));
  box.append(surface, svg("line", { class: "base", x2: "100%", y1: y(0), y2: y(0) }));
  return box;
}

let drawn = 0;

/** The panels of a chart. Without `lines` they have columns; `log` is one scale for all of them. */
export function draw(model, panes, { each, lines, log }) {
  const top = Math.max(1, ...panes.flat().flatMap(({ values }) => values));
  const all = panes.map((curves) => {
    const [{ label, values } = {}] = curves;
    const head = each ? element("p", {}, element("bdi", {}, label), " ", element("span", { class: "amount" }, `${number(together(values, model.additive))}${model.additive ? "" : " at most"}`)) : null;
    return element("div", { class: "pane" }, head, plane(model, curves, { height: each ? 84 : 220, most: each ? 5 : 8, lines, log, top, id: `hatch-${(drawn += 1)}` }));
  });
  return element("div", { class: `chart ${each ? "each" : "stack"}` }, ...all);
}

/**
 * Whole buckets of so many seconds (months, where that is null) between two times. There are a few at least: those before
 * `from` are unknown, and too many are cut off.
 */
export function buckets(from, to, seconds) {
  const phase = seconds === WEEK ? MONDAY : 0;
  const number = seconds ? (time) => Math.floor((time - phase) / seconds) : monthOf;
  const time = seconds ? (at) => at * seconds + phase : startOfMonth;
  const [first, last] = [number(from - 1) + 1, number(to)];
  const least = last > first ? Math.max(Math.min(first, last - FEWEST), last - MOST_BUCKETS) : last;
  const starts = Array.from({ length: last - least }, (_, at) => time(least + at));
  return { starts, seconds, end: time(last), bucket: (when) => number(when) - least, gaps: least < first ? [[time(least), time(first)]] : [] };
}

/** The rows behind a chart, or all there are; sums of days are sums of weeks and of months. */
export async function spanOf(client, plugin, additive, like) {
  const name = { 60: "1m", 3600: "1h", [DAY]: "1d", [WEEK]: additive ? "1d" : "1w" }[like?.seconds] ?? (additive ? "1d" : "1mo");
  return client.series(plugin, name, like?.starts[0] ?? 0, like?.end ?? Date.now() / 1000);
}

/** The buckets of another model; without one, of all that is known, by week or by month. */
export function cutOf(span, like, additive) {
  // What no chart knows, it does not know of single keys either.
  if (like) return { ...buckets(like.starts[0], like.end, like.seconds), gaps: like.starts.flatMap((time, at) => (like.curves[0].values[at] === null ? [[time, time + 1]] : [])) };
  const from = span.rows[0]?.[0] ?? span.start;
  return buckets(from, span.complete_through, additive && span.complete_through - from < 156 * WEEK ? WEEK : null);
}

/** A model of the rows of a series in the buckets of a cut: of the greatest keys, or of those named. */
export function modelOf(span, cut, { additive, keysAddUp, headline, keys = [] }) {
  const wanted = Object.entries(headline).map(([name, value]) => [span.columns.indexOf(name), value]);
  const rows = span.rows.filter((row) => wanted.every(([at, value]) => row[at] === value));
  const all = every({ rows, gaps: [...cut.gaps, ...span.gaps] }, cut, naming(span.columns, headline));
  const of = (key) => all.find(({ name }) => name === key) ?? { name: key, values: all[0].values.map((value) => value && 0) };
  return { ...cut, additive, keysAddUp, names: [...all].sort(above).map(({ name }) => name), curves: labelled(keys.length ? keys.map(of) : fewest(all, keysAddUp)) };
}

/** A figure for all that there is, which the publisher does not draw. */
export function figureOf(root, { starts, end, seconds }, unit) {
  const name = seconds ? "week" : "month";
  const caption = element("figcaption", {}, element("strong", {}, `${unit[0].toUpperCase()}${unit.slice(1)} by ${name}`), " ", element("span", {}, `${number(starts.length)} ${name}s to `, clock(end)));
  const note = element("p", { class: "reading" }, `The ${name} that is not over is not drawn.`);
  const figure = element("figure", { class: "plot", "data-range": "all" }, caption, element("div", { class: "drawing" }), element("ul", { class: "legend chart" }), note);
  [...root.querySelectorAll(".plot")].at(-1).after(figure);
  return figure;
}
