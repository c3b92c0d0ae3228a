// Times, all in seconds since 1970 UTC, and numbers, as readers of a chart hear them.

import { number } from "./dom.js";

export const DAY = 86400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const date = (time) => new Date(time * 1000);
export const day = (time) => date(time).toISOString().slice(0, 10);
export const minute = (time) => `${date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
export const month = (time) => MONTHS[date(time).getUTCMonth()];
export const year = (time) => date(time).getUTCFullYear();

/** A value in words: unknown where it is null; the least, if its bucket is only known in part. */
export const said = (value, isPartial) => (value === null || (isPartial && !value) ? "unknown" : `${isPartial ? "at least " : ""}${number(value)}`);
export const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

/** Several values as one: their sum, or the greatest of those that must not be added up. */
export const together = (values, addUp) => (addUp ? sum(values) : Math.max(0, ...values));

