// Draws a chart: stacked columns, one panel for each key, or lines. A test compares it with the output of
// statscache/render/charts.py.
//
// A model is { starts, end, seconds, curves, additive, keysAddUp, partial }: start of each bucket (all of `seconds`, or
// months where that is null), and for each curve { name, label, values, rest }. A value that is null is unknown; in a bucket
// that is `partial`, values are the least. Buckets are added up if `additive`, curves if `keysAddUp`.

import { element, number, svg } from "./dom.js";
import { clock, compact, MONDAY, monthOf, startOfMonth, WEEK } from "./labels.js";
import { DAY, minute, month, together, year } from "./values.js";

const WIDE = 60;
const INSET = 0.12;
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, WEEK];
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120];

const decimal = (value) => Number(value.toFixed(2));

/** The marks of the time axis as `[bucket, text]`, at most so many. */
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
  const step = magnitude * [1, 2, 5, 10, 20].find((factor) => factor * magnitude * 5 >= span);
  const found = [];
  for (let level = step * Math.floor(low / step); level <= high; level += step) found.push(level);
  return found;
}

/** Columns from the baseline up. Few columns have gaps between them; many touch, and are drawn as one outline. */
function columns(tops, ground) {
  if (tops.length <= WIDE) return tops.map((top, at) => (top === null || top === ground ? "" : `M${decimal(at + INSET)} ${ground}V${top}h${decimal(1 - 2 * INSET)}V${ground}z`)).join("");
  let path = "";
  let before = ground;
  for (let at = 0, next; at < tops.length; at = next) {
    const top = tops[at] ?? ground;
    for (next = at + 1; next < tops.length && (tops[next] ?? ground) === top;) next += 1;
    if (top !== ground) path += `${before === ground ? `M${at} ${ground}v${top - ground}` : `v${top - before}`}h${next - at}`;
    else if (before !== ground) path += `V${ground}z`;
    before = top;
  }
  return before === ground ? path : `${path}V${ground}z`;
}

/** Points at the middle of each bucket; a single one is a path without length, visible because of its round caps. */
const line = (tops) => tops.map((top, at) => (top === null ? "" : `${(tops[at - 1] ?? null) === null ? `M${at + 0.5} ${top}h0` : ""}L${at + 0.5} ${top}`)).join("");

/** One panel with its axes. */
function plane(model, curves, { height, most, lines, log, top, id }) {
  const count = model.starts.length;
  let below = [];
  const stacked = curves.map(({ values }) => (lines ? values : (below = values.map((value, at) => (value === null ? null : value + (below[at] ?? 0))))));
  const known = stacked.flat().filter((value) => value !== null);
  const greatest = Math.max(1, ...known);
  const marks = levels(Math.min(0, ...known), log ? top : greatest, log).filter((level) => !log || level !== 1 || height > 100);
  const peak = (log ? top : greatest) * 1.04;
  const down = height / (peak - marks[0]);
  // Whole pixels; any value above zero is at least one pixel high.
  const y = (value) => (log ? Math.round(height * (1 - Math.log1p(value) / Math.log1p(peak))) : Math.max(0, Math.floor((peak - value) * down + 0.5) - (value > 0 && value * down < 0.5)));
  const share = (at) => `${decimal((at * 100) / Math.max(1, count))}%`;
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

/** The panels of a chart, with columns or `lines`; with `log`, all share one logarithmic scale. */
export function draw(model, panes, { each, lines, log }) {
  const top = Math.max(1, ...panes.flat().flatMap(({ values }) => values));
  const all = panes.map((curves) => {
    const [{ label, values } = {}] = curves;
    const head = each ? element("p", {}, element("bdi", {}, label), " ", element("span", { class: "amount" }, `${number(together(values, model.additive))}${model.additive ? "" : " at most"}`)) : null;
    return element("div", { class: "pane" }, head, plane(model, curves, { height: each ? 84 : 220, most: each ? 5 : 8, lines, log, top, id: `hatch-${(drawn += 1)}` }));
  });
  return element("div", { class: `chart ${each ? "each" : "stack"}` }, ...all);
}

const BY = { 60: "minute", 3600: "hour", [DAY]: "day", [WEEK]: "week" };

/** A figure of a range that the publisher did not draw. */
export function figureOf(root, range, { starts, end, seconds, curves, partial = [] }, { unit, heading }) {
  const name = BY[seconds] ?? "month";
  const caption = element("figcaption", {}, element("strong", {}, `${heading ?? unit[0].toUpperCase() + unit.slice(1)} by ${name}`), " ", element("span", {}, `${number(starts.length)} ${name}s to `, clock(end)));
  const note = element("p", { class: "reading" }, `The ${name} that is not over is not drawn.${partial.includes(true) || curves[0].values.includes(null) ? " Hatched: not wholly known, which is not zero." : ""}`);
  const figure = element("figure", { class: "plot", "data-range": range }, caption, element("div", { class: "drawing" }), element("ul", { class: "legend chart" }), note);
  root.querySelector(".chart-tools").before(figure);
  return figure;
}
