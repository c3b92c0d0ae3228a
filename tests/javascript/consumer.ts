// A program that uses the types; `tsc` must accept it, and refuse each line below a @ts-expect-error.
import { Client, isLate, keyPath, NotPublished, type Index, type Key, type KeyYear, type Series } from "../../site/statscache.js";

const client = new Client("https://stats.example.org/", { timeout: 5, keys: ["-----BEGIN PUBLIC KEY-----…"], acceptExpired: true });
const index: Index = await client.discover();
const names: string[] = index.plugins.filter((plugin) => plugin.unbounded).map((plugin) => plugin.name);
const series: Series = await client.series("edits", "1d", new Date(0), index.through ?? 0);
const total: number = series.rows.reduce((sum, row) => sum + Number(row.at(-1)), 0);
const pinned = await client.pin();
const person: Key | null = await pinned.key("contributors", "ralph");
const days: [number, number][] = person?.days["2015"] ?? [];
const [before] = (person?.years ?? []).map(([year]) => year);
const older: KeyYear | null = await pinned.keyYear("contributors", before, "ralph");
const weeks: [number, number][] = older?.parts?.[0].weeks[before] ?? [];
const stop: () => void = client.watch((now, changed) => console.log(now.generation, changed.length), { every: 30 });
stop();
try {
  await client.latest("nothing");
} catch (error) {
  if (error instanceof NotPublished) console.log(error.message);
}
console.log(names, total, days, weeks, isLate(index), await keyPath(["ralph", null]));

// @ts-expect-error a time is a Date or a number
await client.series("edits", "1d", "2015-08-08", 0);
// @ts-expect-error a key that never occurred is null
person.total;
// @ts-expect-error a snapshot is pinned by Client.pin
new (await import("../../site/statscache.js")).Pinned();
