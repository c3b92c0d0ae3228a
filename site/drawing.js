// What the widgets draw with: elements, formats, axes. Whatever comes from a file is set as text, never as markup.

export const DAY = 86400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LONGEST = 160;
const SVG = "http://www.w3.org/2000/svg";
export const MOST_LINES = 8;

/** An HTML element with attributes and children; text is text. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text from a file on one line, clipped, and isolated so that right-to-left marks end with it. */
export function foreign(value, longest = LONGEST) {
  return element("bdi", {}, clean(value, longest));
}

export function clean(value, longest = LONGEST) {
  const text = String(value).slice(0, 4 * longest).replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, " ").trim();
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

export const label = (key) => clean(key.map((part) => (part === null ? "unknown" : part || "(empty)")).join(" · "), 60);
export const number = (value) => value.toLocaleString("en").replace("-", "\u2212");

export function compact(value) {
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${(value / size).toFixed(1).replace(".0", "")}${letter}`;
  }
  return number(value);
}

const date = (time) => new Date(time * 1000);
export const isTime = (field) => ["timestamp", "start", "stop", "first", "last"].includes(field);
export const isMoment = (value) => Number.isInteger(value) && value >= 0 && value <= 253402300799;
export const day = (time) => date(time).toISOString().slice(0, 10);
export const minute = (time) => `${date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
export const month = (time) => MONTHS[date(time).getUTCMonth()];
export const year = (time) => date(time).getUTCFullYear();
export const startOf = (year) => Date.UTC(year, 0, 1) / 1000;
/** Start of the ISO week; 1970 began on a Thursday. */
export const monday = (time) => {
  const midnight = Math.floor(time / DAY) * DAY;
  return midnight - ((midnight / DAY + 3) % 7) * DAY;
};

export function clock(time, format = minute) {
  return element("time", { datetime: date(time).toISOString() }, format(time));
}

/** Whole levels in steps of 1, 2 or 5 times a power of ten, from 0 (or below) to the greatest value or more. */
export function levels(low, high) {
  const span = Math.max(1, high - low);
  const magnitude = 10 ** Math.max(0, Math.floor(Math.log10(span)) - 1);
  const step = magnitude * ([1, 2, 5, 10, 20].find((factor) => factor * magnitude * 4 >= span) ?? 50);
  const all = [];
  for (let at = step * Math.floor(low / step); at < high + step; at += step) all.push(at);
  return all;
}

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

/** Whether numbers may be added up over buckets of time. */
export const addsUpInTime = (about) => !about.not_added_up.includes("timestamp");

/** Whether the numbers of the headline's keys may be added up; of one key there is nothing to add. */
export const keysAddUp = (about) => about.not_added_up.every((name) => name === "timestamp" || Object.hasOwn(about.headline, name));

/** Several values as one: their sum, or the greatest of those that must not be added up. */
export const together = (values, addUp) => (addUp ? sum(values) : Math.max(0, ...values));

/** The greatest of the lines by their total, and the rest as one where they add up. */
export function fewest(about, lines) {
  const ranked = lines.map((line) => ({ total: sum(line.values), ...line })).sort((a, b) => b.total - a.total);
  if (ranked.length <= MOST_LINES || !keysAddUp(about)) return ranked.slice(0, MOST_LINES);
  const rest = ranked.slice(MOST_LINES - 1);
  const values = rest[0].values.map((_, at) => (rest[0].values[at] === null ? null : sum(rest.map((line) => line.values[at]))));
  return [...ranked.slice(0, MOST_LINES - 1), { label: `other (${rest.length})`, values, total: sum(rest.map((line) => line.total)) }];
}

/**
 * A plot with its axes: the drawing stretches to the width at hand, text keeps its size.
 *
 * `ticks` are pairs of a share of the width (0 to 1) and text; `scale` are levels; `draw` makes what lies on the plane, in
 * units of 1000 across and `height` down.
 */
export function plot({ title, height, scale, ticks, draw }) {
  const [low, high] = [scale[0], scale.at(-1)];
  const y = (value) => ((high - value) / (high - low)) * height;
  const plane = svg("svg", { class: "plane", viewBox: `0 0 1000 ${height}`, height, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const level of scale) plane.append(svg("path", { class: level === 0 ? "base" : "grid", d: `M0 ${y(level).toFixed(1)}h1000` }));
  plane.append(...draw(y));
  const left = element("div", { class: "levels", "aria-hidden": "true" });
  for (const level of scale) {
    const mark = element("span", {}, compact(level));
    mark.style.top = `${(y(level) / height) * 100}%`;
    left.append(mark);
  }
  const below = element("div", { class: "ticks", "aria-hidden": "true" });
  for (const [share, text] of ticks) {
    const mark = element("span", {}, text);
    mark.style.left = `${share * 100}%`;
    below.append(mark);
  }
  left.style.height = `${height}px`;
  return element("div", { class: "plot", role: "img", "aria-label": title }, left, plane, below);
}

/** At most `most` of the items, evenly apart. */
export function sparse(items, most) {
  const apart = Math.ceil(items.length / most);
  return items.filter((_, at) => at % apart === 0);
}

/** Seconds as people say them, in their two greatest units, as the pages do. */
export function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const [size, name, part, finer] = seconds < DAY ? [3600, "h", 60, "min"] : [DAY, "d", 3600, "h"];
  const more = Math.floor((seconds % size) / part);
  return `${number(Math.floor(seconds / size))} ${name}${more ? ` ${more} ${finer}` : ""}`;
}

/** Fields that hold a number of seconds that something took. */
export const isDuration = (field) => ["duration", "mean", "median"].includes(field);

/** An item of a legend: a form and what it stands for. */
export function sign(form, words) {
  const swatch = svg("svg", { viewBox: "0 0 11 11", "aria-hidden": "true" }, svg("rect", { class: form, x: 0.5, y: 0.5, width: 10, height: 10, rx: 2 }));
  return element("li", {}, swatch, words);
}

export function legend(lines) {
  const list = element("ul", { class: "legend" });
  lines.forEach((line, at) => {
    const swatch = svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `c${at + 1} fill`, width: 10, height: 10, rx: 2 }));
    list.append(element("li", {}, swatch, foreign(line.label, 60), element("span", { class: "quiet" }, number(line.total))));
  });
  return list;
}

/** A table for those who cannot see the plot, and for all who want the numbers. */
export function asTable(caption, heads, rows) {
  const cells = (row) =>
    row.map((cell, at) =>
      at === 0 ? element("th", { scope: "row" }, cell) : element("td", { class: "number" }, typeof cell === "number" ? number(cell) : cell),
    );
  const table = element(
    "table",
    {},
    element("caption", { class: "hidden" }, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, foreign(head, 60))))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
  );
  const scroll = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, table);
  return element("details", {}, element("summary", {}, "As a table"), scroll);
}
