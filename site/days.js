// The newest days of one name, on the page of a person or a package: read from the key documents that the
// page loads anyway, so that a line costs neither a row nor a file.

import { unknownDays } from "./statscache.js";
import { entityOf, pageOf } from "./names.js";
import { fit } from "./rows.js";
import * as d from "./parts.js";

const MOST_DAYS = 10;
const MOST_NAMES = 3;

/** The days of a key as `[value, parts]`, by time. Parts are known by week: `[name]`, with the value if the week has one day. */
function daysOf({ days, parts = [] }) {
  const weeks = new Map();
  for (const day of Object.values(days).flat()) {
    const week = d.monday(day[0]);
    weeks.set(week, [...(weeks.get(week) ?? []), day]);
  }
  const found = new Map();
  for (const [week, all] of weeks) {
    const within = parts.flatMap(({ total, weeks, ...name }) => {
      // A week that belongs to two years is in both.
      const value = d.sum(Object.values(weeks).flat().filter(([time]) => time === week).map(([, value]) => value));
      return value ? [[Object.values(name)[0], value]] : [];
    });
    for (const [time, value] of all) found.set(time, [value, all.length === 1 ? within : within.length > 2 ? [] : within.map(([name]) => [name])]);
  }
  return found;
}

/** A table of the newest days on which a key was counted, with a note; null if no statistic has parts. */
export function latestDays(client, index, all) {
  const counted = all.map(({ plugin, title, key }) => ({ plugin, title, days: daysOf(key), field: Object.keys(key.parts?.[0] ?? {}).find((name) => !["total", "weeks"].includes(name)) }));
  if (!counted.some(({ field }) => field)) return null;
  const times = [...new Set(counted.flatMap(({ days }) => [...days.keys()]))].sort((a, b) => b - a).slice(0, MOST_DAYS);
  const shown = counted.filter(({ days }) => times.some((time) => days.has(time)));
  const amount = ({ plugin, title, days, field }, time) => {
    const [value, parts] = days.get(time) ?? [unknownDays(plugin, time, time + d.DAY).length ? null : 0, []];
    const named = entityOf(index, field);
    const between = parts.some(([, count]) => count === undefined) ? " or " : ", ";
    const names = parts.slice(0, MOST_NAMES).flatMap(([name, count], at) => [at ? between : "", named && name ? d.element("a", { href: pageOf(client, named, name) }, d.foreign(name, 40)) : d.foreign(d.label([name]), 40), parts.length > 1 && count ? ` ${d.number(count)}` : ""]);
    const what = names.length ? d.element("small", {}, ...names, parts.length > MOST_NAMES ? ", …" : "") : null;
    return d.element("td", { class: value === null ? "unknown" : value ? null : "zero" }, value === null ? "—" : d.number(value), what && " ", what);
  };
  const line = d.element("tr", {}, d.element("th", { scope: "col" }, "Day"), ...shown.map(({ title }) => d.element("th", { scope: "col" }, title)));
  const body = times.map((time) => d.element("tr", {}, d.element("td", { class: "time" }, d.clock(time, d.day)), ...shown.map((each) => amount(each, time))));
  const scroll = fit(d.element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Latest days" }, d.element("table", { class: "rows" }, d.element("thead", {}, line), d.element("tbody", {}, ...body))));
  return [scroll, d.element("p", { class: "note" }, "The newest days with anything, in UTC; the last may not be over.")];
}
