// The numbers behind the charts of one key: of its documents, or of the rows of a series that name it.

import { unknownDays } from "./statscache.js";
import { label, monday, MONDAY, startOf, startOfMonth, monthOf, WEEK } from "./labels.js";
import { buckets, cutOf, fewest, labelled, LONGEST_NAME, modelOf, MOST_WEEKS, spanOf } from "./models.js";
import { DAY, sum } from "./values.js";

/** Ranges by name: seconds of a bucket, and the number of buckets; for `all` that depends on the data. */
const RANGES = { "3h": [60, 180], "7d": [3600, 168], "30d": [DAY, 30], "1y": [WEEK, 52], all: [null, 0] };

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
