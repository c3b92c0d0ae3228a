// Elements, formats and times. Whatever comes from a file is set as text, never as markup.

export const DAY = 86400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LONGEST = 160;
const SVG = "http://www.w3.org/2000/svg";

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

/** Text on one line, cut in its middle: names often differ at their end. */
export function middle(value, longest = 28) {
  const text = clean(value);
  const tail = (longest - 1) >> 1;
  return text.length > longest ? `${text.slice(0, longest - 1 - tail)}…${text.slice(text.length - tail)}` : text;
}

export const label = (key, longest = 60) => middle(key.map((part) => (part === null ? "unknown" : part || "(empty)")).join(" · "), longest);
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
/** Months are numbered from that of year 0. */
export const monthOf = (time) => year(time) * 12 + date(time).getUTCMonth();
export const startOfMonth = (number) => Date.UTC(Math.floor(number / 12), number % 12) / 1000;
export const startOf = (year) => Date.UTC(year, 0, 1) / 1000;
/** Start of the ISO week; 1970 began on a Thursday. */
export const monday = (time) => {
  const midnight = Math.floor(time / DAY) * DAY;
  return midnight - ((midnight / DAY + 3) % 7) * DAY;
};

export function clock(time, format = minute) {
  return element("time", { datetime: date(time).toISOString() }, format(time));
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

/** A value in words: unknown where it is null; the least, if its bucket is only known in part. */
export const said = (value, isPartial) => (value === null || (isPartial && !value) ? "unknown" : `${isPartial ? "at least " : ""}${number(value)}`);

export const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

/** Several values as one: their sum, or the greatest of those that must not be added up. */
export const together = (values, addUp) => (addUp ? sum(values) : Math.max(0, ...values));

/** Whether numbers of a plugin may be added up over buckets of time. */
export const addsUpInTime = (about) => !about.not_added_up.includes("timestamp");

/** Whether the numbers of the headline's keys may be added up; of one key there is nothing to add. */
export const keysAddUp = (about) => about.not_added_up.every((name) => name === "timestamp" || Object.hasOwn(about.headline, name));

/** An item of a legend: a form and what it stands for. */
export function sign(form, words) {
  const swatch = svg("svg", { viewBox: "0 0 11 11", "aria-hidden": "true" }, svg("rect", { class: form, x: 0.5, y: 0.5, width: 10, height: 10, rx: 2 }));
  return element("li", {}, swatch, words);
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

/** The start of the first bucket of a span that is known; what is missing before it is not drawn. */
export const knownFrom = ({ start, end, gaps: [first] }) => (first && first[0] <= start ? Math.min(first[1], end) : start);

/** What stands for a number of a window that is not wholly known: since when it is known, if the document says so. */
export const unknown = (since) => (since === null ? "—" : `—, since ${date(since).getUTCDate()} ${month(since)}${since % DAY ? ` ${minute(since).slice(11, 16)}` : ""}`);
