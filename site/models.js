// The numbers behind a chart: curves in whole buckets of time, of the published series of a plugin. chart.js says what a
// model is.

import { label, middle, MONDAY, monthOf, startOfMonth, WEEK } from "./labels.js";
import { DAY, sum } from "./values.js";

const MOST_CURVES = 6;
const FEWEST = 12;
const MOST_BUCKETS = 20_000;
export const LONGEST_NAME = 100;
export const MOST_WEEKS = 156;

/** The start of the first known bucket of a span; nothing is drawn before it. */
export const knownFrom = ({ start, end, gaps: [first] }) => (first && first[0] <= start ? Math.min(first[1], end) : start);

/** The common prefix of all names, in whole words between dots; empty if it is short. */
function prefixOf(names) {
  const sorted = [...names].sort();
  if (!sorted[1]) return "";
  const [low, high] = [sorted[0], sorted.at(-1)];
  let at = 0;
  while (at < low.length && low[at] === high[at]) at += 1;
  const prefix = low.slice(0, low.lastIndexOf(".", at - 1) + 1);
  return prefix.length >= 8 && names.every((name) => name.length > prefix.length) ? prefix : "";
}

/** The curves with short labels, without the common prefix. */
export function labelled(curves, prefix = prefixOf(curves.filter(({ rest }) => !rest).map(({ name }) => name))) {
  return curves.map((curve) => ({ ...curve, label: curve.rest ? curve.name : middle(curve.name.slice(prefix.length)) }));
}

/** The name of each row of a series: its key, without dimensions that are the same in all rows of the headline. */
const naming = (columns, headline) => {
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

/** The greatest curves by `raw`, and the rest summed up as one curve if the keys add up. */
export function fewest(curves, keysAddUp) {
  const ranked = [...curves].sort((a, b) => b.raw - a.raw || (a.name < b.name ? -1 : 1));
  if (ranked.length <= MOST_CURVES || !keysAddUp) return ranked.slice(0, MOST_CURVES);
  const rest = ranked.slice(MOST_CURVES - 1);
  const values = rest[0].values.map((value, at) => (value === null ? null : sum(rest.map((curve) => curve.values[at]))));
  return [...ranked.slice(0, MOST_CURVES - 1), { name: `other (${rest.length})`, values, rest: true }];
}

/**
 * Whole buckets of so many seconds (months if null) between two times. There are at least a few: those before
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

/** The rows behind a chart, or all rows; weeks and months are summed up from days. */
export async function spanOf(client, plugin, additive, like) {
  const name = { 60: "1m", 3600: "1h", [DAY]: "1d", [WEEK]: additive ? "1d" : "1w" }[like?.seconds] ?? (additive ? "1d" : "1mo");
  return client.series(plugin, name, like?.starts[0] ?? 0, like?.end ?? Date.now() / 1000);
}

/** The buckets of another model; without one, all known time by week or month. */
export function cutOf(span, like, additive) {
  // Time that is unknown for the statistic is unknown for each key.
  if (like) return { ...buckets(like.starts[0], like.end, like.seconds), gaps: like.starts.flatMap((time, at) => (like.curves[0].values[at] === null ? [[time, time + 1]] : [])) };
  const from = knownFrom(span);
  return buckets(from, span.complete_through, additive && span.complete_through - from < MOST_WEEKS * WEEK ? WEEK : null);
}

/** A model of the rows of a series in given buckets: of the greatest keys, or of the named ones. */
export function modelOf(span, cut, { additive, keysAddUp, headline, keys = [] }) {
  const wanted = Object.entries(headline).map(([name, value]) => [span.columns.indexOf(name), value]);
  const rows = span.rows.filter((row) => wanted.every(([at, value]) => row[at] === value));
  const all = every({ rows, gaps: [...cut.gaps, ...span.gaps] }, cut, naming(span.columns, headline));
  const of = (key) => all.find(({ name }) => name === key) ?? { name: key, values: all[0].values.map((value) => value && 0) };
  return { ...cut, additive, keysAddUp, curves: labelled(keys.length ? keys.map(of) : fewest(all, keysAddUp)) };
}

const spans = new Map();

/** A model of the published series of a plugin in the buckets of another model, else of all known time. */
export async function published(client, about, range, keys, like) {
  if (!spans.has(range)) spans.set(range, spanOf(client, about.plugin, about.additive, like));
  const span = await spans.get(range).catch((error) => {
    spans.delete(range);
    throw error;
  });
  return modelOf(span, cutOf(span, like, about.additive), { ...about, keys });
}
