// The numbers behind a chart: curves in whole buckets of time, of the published series of a plugin or of the documents of a
// key. chart.js says what a model is.

import { unknownDays } from "./statscache.js";
import { label, middle, monday, monthOf, startOf, startOfMonth } from "./labels.js";
import { DAY, sum } from "./values.js";

export const MOST_CURVES = 6;
const FEWEST = 12;
const MOST_BUCKETS = 20_000;
const LONGEST_NAME = 100;
const WEEK = 7 * DAY;
// 1970 began on a Thursday.
const MONDAY = 4 * DAY;
const MOST_WEEKS = 156;

/** Ranges by name: seconds of a bucket, and the number of buckets; for `all` that depends on the data. */
export const RANGES = { "3h": [60, 180], "7d": [3600, 168], "30d": [DAY, 30], "1y": [WEEK, 52], all: [null, 0] };

/** The start of the first known bucket of a span; nothing is drawn before it. */
export const knownFrom = ({ start, end, gaps: [first] }) => (first && first[0] <= start ? Math.min(first[1], end) : start);

const above = (a, b) => b.raw - a.raw || (a.name < b.name ? -1 : 1);

/** The common prefix of all names, in whole words between dots; empty if it is short. */
export function prefixOf(names) {
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

/** The greatest curves by `raw`, and the rest summed up as one curve if the keys add up. */
export function fewest(curves, keysAddUp) {
  const ranked = [...curves].sort(above);
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
  return buckets(from, span.complete_through, additive && span.complete_through - from < 156 * WEEK ? WEEK : null);
}

/** A model of the rows of a series in given buckets: of the greatest keys, or of the named ones. */
export function modelOf(span, cut, { additive, keysAddUp, headline, keys = [] }) {
  const wanted = Object.entries(headline).map(([name, value]) => [span.columns.indexOf(name), value]);
  const rows = span.rows.filter((row) => wanted.every(([at, value]) => row[at] === value));
  const all = every({ rows, gaps: [...cut.gaps, ...span.gaps] }, cut, naming(span.columns, headline));
  const of = (key) => all.find(({ name }) => name === key) ?? { name: key, values: all[0].values.map((value) => value && 0) };
  return { ...cut, additive, keysAddUp, names: [...all].sort(above).map(({ name }) => name), curves: labelled(keys.length ? keys.map(of) : fewest(all, keysAddUp)) };
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

/** The complete buckets of a range at a given time; the range `all` begins at `first`. */
function cutTo(range, through, first) {
  const [seconds, count] = RANGES[range];
  const phase = seconds === WEEK ? MONDAY : 0;
  if (count) return buckets(Math.floor((through - phase) / seconds) * seconds + phase - count * seconds, through, seconds);
  const isLong = through - first >= MOST_WEEKS * WEEK;
  return buckets(isLong ? startOfMonth(monthOf(first)) : monday(first), through, isLong ? null : WEEK);
}

/** One curve for each part of a key, or one for the whole; a partly known week is `partial`, a partly known day unknown. */
export function curvesOf(documents, cut, about, isParted) {
  const by = new Map();
  const soFar = [];
  for (const { days, parts } of documents) {
    for (const part of (isParted && parts) || [{ weeks: days }]) {
      const field = Object.keys(part).find((name) => !["weeks", "total"].includes(name));
      const name = field ? label([part[field]]) : about.unit;
      if (!by.has(name)) by.set(name, cut.starts.map(() => 0));
      // A week that belongs to two years is in both, each time with the days of that year.
      for (const [time, value] of Object.values(part.weeks).flat()) {
        const at = cut.bucket(time);
        if (cut.starts[at] !== undefined) by.get(name)[at] += value;
        else if (at === cut.starts.length) soFar.push(value);
      }
    }
  }
  const unknown = cut.starts.map((time, at) => unknownDays(about, time, cut.starts[at + 1] ?? cut.end).length > 0);
  const isDay = cut.seconds === DAY;
  const named = [...by].map(([name, values]) => ({ name, raw: sum(values), values: isDay ? values.map((value, at) => (unknown[at] ? null : value)) : values }));
  return { named: named.length ? named : [{ name: about.unit, raw: 0, values: cut.starts.map((_, at) => (isDay && unknown[at] ? null : 0)) }], partial: isDay ? undefined : unknown, soFar: sum(soFar) };
}

/** The document of a key, and those of its older years from a time on. */
export async function documentsOf(client, plugin, key, from) {
  const found = await client.key(plugin, ...key);
  const older = (found?.years ?? []).map(([year]) => year).filter((year) => !found.days[year] && startOf(year + 1) > from);
  return found ? [found, ...(await Promise.all(older.map((year) => client.keyYear(plugin, year, ...key))))] : [];
}

/** The numbers of one key of an unbounded plugin: ranges by name, and a model of each, alone or with other keys. */
export function ofKey(client, index, about, key) {
  const through = (index.slow_through ?? 0) + 1;
  const read = async (range, others) => {
    const [found] = await documentsOf(client, about.name, key, Infinity);
    const cut = cutTo(range, through, found?.first ?? through);
    const documents = await Promise.all([key, ...others.map((name) => [name])].map((each) => documentsOf(client, about.name, each, cut.starts[0])));
    if (!others.length) {
      const { named, ...more } = curvesOf(documents[0], cut, about, cut.seconds === WEEK);
      const curves = labelled(fewest(named, true), "");
      return { ...cut, additive: true, keysAddUp: true, ...more, curves: curves.some(({ values }) => sum(values)) ? curves.filter(({ values }) => sum(values)) : curves.slice(0, 1) };
    }
    const all = documents.map((each) => curvesOf(each, cut, about, false));
    const names = [label(key, LONGEST_NAME), ...others];
    return { ...cut, additive: true, keysAddUp: true, ...all[0], curves: labelled(all.map(({ named: [{ values }] }, at) => ({ name: names[at], values })), "") };
  };
  return { ranges: ["30d", "1y", "all"], read };
}

/** The series of a plugin, reduced to one value of a dimension, or several to compare. */
export function ofSeries(client, index, about, field, name, { additive, keysAddUp }) {
  const there = (resolution) => about.documents.some(({ path }) => path.endsWith(`/series/${resolution}/index.json`));
  const needs = { "3h": "1m", "7d": "1h", "30d": "1d", "1y": additive ? "1d" : "1w", all: additive ? "1d" : "1mo" };
  const spans = new Map();
  const read = async (range, others) => {
    const through = ((range === "3h" ? index.through : index.slow_through) ?? 0) + 1;
    const like = range === "all" ? undefined : cutTo(range, through, 0);
    if (!spans.has(range)) spans.set(range, spanOf(client, about.name, additive, like));
    const span = await spans.get(range);
    const mine = field ? span.rows.filter((row) => row[span.columns.indexOf(field)] === name) : span.rows;
    const cut = like ?? cutOf({ ...span, rows: mine }, undefined, additive);
    const headline = about.headline ?? {};
    return modelOf(span, { ...cut, gaps: [] }, others.length ? { additive, keysAddUp, headline, keys: field ? [name, ...others] : others } : { additive, keysAddUp, headline: field ? { ...headline, [field]: name } : headline });
  };
  return { ranges: Object.keys(RANGES).filter((range) => there(needs[range])), read };
}
