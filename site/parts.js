// Parts of widgets and entity pages: all of dom.js, labels.js and values.js, and what charts do not need.

import { element, foreign, number, svg } from "./dom.js";
import { DAY, date, minute, month } from "./values.js";

export * from "./dom.js";
export * from "./labels.js";
export * from "./values.js";

export const isTime = (field) => ["timestamp", "start", "stop", "first", "last"].includes(field);
export const isMoment = (value) => Number.isInteger(value) && value >= 0 && value <= 253402300799;

/** A duration in its two greatest units, such as `3 h 34 min`, as on the pages. */
export function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const [size, name, part, finer] = seconds < DAY ? [3600, "h", 60, "min"] : [DAY, "d", 3600, "h"];
  const more = Math.floor((seconds % size) / part);
  return `${number(Math.floor(seconds / size))} ${name}${more ? ` ${more} ${finer}` : ""}`;
}

/** Fields that hold a duration in seconds. */
export const isDuration = (field) => ["duration", "mean", "median"].includes(field);

/** Whether numbers of a plugin may be added up over buckets of time. */
export const addsUpInTime = (about) => !about.not_added_up.includes("timestamp");

/** Whether the numbers of the headline's keys may be added up; a single key needs no sum. */
export const keysAddUp = (about) => about.not_added_up.every((name) => name === "timestamp" || Object.hasOwn(about.headline, name));

/** An item of a legend: a swatch and its label. */
export function sign(form, words) {
  const swatch = svg("svg", { viewBox: "0 0 11 11", "aria-hidden": "true" }, svg("rect", { class: form, x: 0.5, y: 0.5, width: 10, height: 10, rx: 2 }));
  return element("li", {}, swatch, words);
}

/** The numbers of a plot as a table, also for screen readers. */
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

/** The text in place of a number that is not wholly known: since when it is known, if the document says so. */
export const unknown = (since) => (since === null ? "—" : `—, since ${date(since).getUTCDate()} ${month(since)}${since % DAY ? ` ${minute(since).slice(11, 16)}` : ""}`);
