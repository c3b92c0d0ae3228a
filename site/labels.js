// Marks of axes, and labels of curves.

import { clean, element, number } from "./dom.js";
import { DAY, date, minute, year } from "./values.js";

/** Text on one line, cut in the middle: names often differ at the end. */
export function middle(value, longest = 28) {
  const text = clean(value);
  const tail = (longest - 1) >> 1;
  return text.length > longest ? `${text.slice(0, longest - 1 - tail)}…${text.slice(text.length - tail)}` : text;
}

export const label = (key, longest = 60) => middle(key.map((part) => (part === null ? "unknown" : part || "(empty)")).join(" · "), longest);

export function compact(value) {
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${(value / size).toFixed(1).replace(".0", "")}${letter}`;
  }
  return number(value);
}

/** Months are numbered from that of year 0. */
export const monthOf = (time) => year(time) * 12 + date(time).getUTCMonth();
export const startOfMonth = (number) => Date.UTC(Math.floor(number / 12), number % 12) / 1000;
export const startOf = (year) => Date.UTC(year, 0, 1) / 1000;

export function clock(time, format = minute) {
  return element("time", { datetime: date(time).toISOString() }, format(time));
}

export const WEEK = 7 * DAY;
// 1970 began on a Thursday.
export const MONDAY = 4 * DAY;

/** Start of the ISO week. */
export const monday = (time) => Math.floor((time - MONDAY) / WEEK) * WEEK + MONDAY;
