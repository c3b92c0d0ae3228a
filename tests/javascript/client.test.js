// The client of other people's programs, in Node, against a site that is really published and served.
// $STATSCACHE_URL is the site, $STATSCACHE_PUBLISH an address that publishes another build when it is asked.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, beforeEach, test } from "node:test";

const SITE = process.env.STATSCACHE_URL;
const MODULE = new URL("../../site/statscache.js", import.meta.url);
const { BadSignature, Client, Damaged, NotPublished, Outdated, StatscacheError, Unreachable, Unverifiable, isLate, isOld, keyPath, unknownDays } =
  await import(MODULE);
const keys = [process.env.STATSCACHE_PUBLIC_KEY];
const DAY = 86400;
const NOON = 1439035200;

// Node 18 has it, but not under this name.
globalThis.crypto ??= webcrypto;

const realFetch = globalThis.fetch;
let asked = [];
let begun = 0;
let instead = () => null;
let corrupt = (path, data) => data;
globalThis.fetch = async (url, options) => {
  begun += 1;
  const response = await realFetch(url, options);
  const path = String(url).replace(SITE, "");
  const other = instead(path);
  if (other) return other;
  asked.push([path, response.status]);
  const data = response.status === 200 ? corrupt(path, await response.clone().text()) : null;
  return data === null ? response : new Response(data, { headers: response.headers });
};
const paths = () => asked.map(([path]) => path);
beforeEach(() => {
  asked = [];
  instead = () => null;
  corrupt = (path, data) => data;
});
after(() => {
  globalThis.fetch = realFetch;
});

const placed = (object) => `v1/objects/${object.slice(0, 2)}/${object}`;
const named = (index, path) =>
  placed(index.plugins.flatMap(({ documents }) => documents).find((entry) => entry.path === path).object);
const published = async (path) => (await realFetch(SITE + path)).json();

test("documents are those that are published", async () => {
  const client = new Client(SITE);
  assert.deepEqual(await client.discover(), await published("v1/index.json"));
  assert.deepEqual(await client.latest("edits"), await published("v1/plugins/edits/latest.json"));
  assert.deepEqual(await client.document("edits", "drawing"), await published("v1/plugins/edits/drawing.json"));
  assert.deepEqual(await client.key("builds", "Ralph.B", null), await published("v1/plugins/builds/by/_52alph_2e_42.__.json"));
});

test("older years of a key are documents of their own, which its years name", async () => {
  for (const client of [new Client(SITE), await new Client(SITE).pin()]) {
    const { years, days } = await client.key("builds", "Ralph.B", null);
    assert.deepEqual(years, [[2012, 1], [2015, 1]]);
    assert.deepEqual(Object.keys(days), ["2015"]);
    const older = await client.keyYear("builds", 2012, "Ralph.B", null);
    assert.deepEqual(older, await published("v1/plugins/builds/by/_52alph_2e_42.__/2012.json"));
    assert.equal(await client.keyYear("builds", 2013, "Ralph.B", null), null);
    await assert.rejects(client.keyYear("builds", "../2012", "Ralph.B", null), TypeError);
  }
});

test("the time before the first data is a gap, and days of a key are unknown before since and in gaps", async () => {
  const { gaps, start } = await new Client(SITE).series("edits", "1d", NOON - 730 * DAY, NOON + DAY);
  assert.equal(gaps[0][0], start);
  assert.ok(gaps[0][1] >= NOON - DAY / 2);
  assert.deepEqual(unknownDays({ since: null, gaps: [] }, 0, DAY), [[0, DAY]]);
  assert.deepEqual(unknownDays({ since: 2 * DAY, gaps: [[5 * DAY, 7 * DAY]] }, 0, 6 * DAY), [[0, 2 * DAY], [5 * DAY, 6 * DAY]]);
  assert.deepEqual(unknownDays({ since: 0, gaps: [] }, DAY, 2 * DAY), []);
});

test("a key that never occurred is null, and what is not published is an error that names it", async () => {
  const client = new Client(SITE);
  assert.equal(await client.key("builds", "nobody", "f42"), null);
  await assert.rejects(client.latest("nothing"), (error) => error instanceof NotPublished && /nothing\/latest/.test(error.message));
  await assert.rejects(client.latest("../index"), TypeError);
  await assert.rejects(client.series("edits", "../1h", 0, 1), TypeError);
});

test("from a file, a client wants the address of a site", () => {
  assert.throws(() => new Client(), /loaded from a file: give the address of a site/);
});

test("what is asked for several times at once is fetched once", async () => {
  const client = new Client(SITE);
  await Promise.all([client.discover(), client.discover(), client.latest("edits"), client.latest("edits")]);
  const index = await published("v1/index.json");
  const object = named(index, "v1/plugins/edits/latest.json");
  assert.deepEqual(paths().sort(), ["v1/index.json", object]);
  await client.discover();
  assert.equal(asked.length, 3);
});

test("keys are encoded as the format says", async () => {
  const cases = JSON.parse(process.env.STATSCACHE_KEYS);
  assert.ok(cases.length > 5);
  for (const [key, path] of cases) assert.equal(await keyPath(key), path, JSON.stringify(key));
});

test("a series fetches the periods between two times and no other", async () => {
  const client = new Client(SITE);
  const all = await published("v1/plugins/edits/series/1m/index.json");
  assert.ok(all.periods.length > 1);
  const [first] = all.periods;
  const span = await client.series("edits", "1m", new Date(first.start * 1000), first.end);
  const index = await published("v1/index.json");
  const objects = paths().filter((path) => path.startsWith("v1/objects/"));
  assert.deepEqual(objects, [named(index, "v1/plugins/edits/series/1m/index.json"), placed(first.object)]);
  assert.deepEqual(span.rows, [[NOON, "Main", 1]]);
  assert.deepEqual(span.columns, ["timestamp", "page", "value"]);
});

test("a series is widened to whole buckets, and says what is over", async () => {
  const client = new Client(SITE);
  const span = await client.series("edits", "1d", NOON, NOON + 1);
  assert.deepEqual([span.start, span.end, span.width], [NOON - DAY / 2, NOON + DAY / 2, DAY]);
  assert.equal(span.complete_through, span.end);
  const later = await client.series("edits", "1d", NOON, NOON + 2 * DAY);
  assert.deepEqual(later.rows.map(([, page, value]) => [page, value]), [["Main", 1], ["=Main", 1], ["Main", 2]]);
  assert.equal(later.complete_through, NOON + DAY / 2);
});

test("a pinned snapshot is one generation, whatever is published meanwhile", async () => {
  const client = new Client(SITE);
  const pinned = await client.pin();
  const before = await pinned.latest("edits");
  await realFetch(process.env.STATSCACHE_PUBLISH);
  const after = await new Client(SITE).latest("edits");
  assert.notDeepEqual(after, before);
  const again = await pinned.latest("edits");
  assert.deepEqual(again, before);
  assert.equal((await pinned.key("builds", "owner-7", "f42")).total, 1);
  assert.equal(await pinned.key("builds", "nobody", "f42"), null);
  assert.equal((await pinned.series("edits", "1d", NOON, NOON + DAY)).rows.length, 3);
  await assert.rejects(pinned.document("edits", "nothing"), NotPublished);
  // Documents of keys have no objects, and this one did not change.
  const others = paths().filter((path) => !path.startsWith("v1/objects/"));
  assert.deepEqual([...new Set(others)].sort(), ["v1/index.json", "v1/plugins/builds/by/owner-7.f42.json"]);
  assert.equal((await client.discover()).generation, pinned.index.generation + 1);
});

test("an object that is gone is looked for by a newer index, and other bytes than announced are refused", async () => {
  const before = await published("v1/index.json");
  const old = named(before, "v1/plugins/edits/latest.json");
  await realFetch(process.env.STATSCACHE_PUBLISH);
  let stale = true;
  instead = (path) => {
    if (path === old) return new Response("", { status: 404 });
    return path === "v1/index.json" && stale ? ((stale = false), new Response(JSON.stringify(before))) : null;
  };
  assert.deepEqual(await new Client(SITE).latest("edits"), await published("v1/plugins/edits/latest.json"));
  assert.ok(!stale);
  instead = () => null;
  corrupt = (path, data) => (path.startsWith("v1/objects/") ? data.replace(/\d(?=\D*$)/, (digit) => (digit === "1" ? "2" : "1")) : data);
  await assert.rejects(new Client(SITE).latest("edits"), Damaged);
});

test("a pinned snapshot fetches each manifest once", async () => {
  const pinned = await new Client(SITE).pin();
  await pinned.key("builds", "owner-7", "f42");
  asked = [];
  await pinned.key("builds", "owner-7", "f42");
  assert.deepEqual(asked, []);
});

test("other bytes than those that were announced are refused", async () => {
  const pinned = await new Client(SITE).pin();
  corrupt = (path, data) => (path.startsWith("v1/objects/") ? data.replace(/\d(?=\D*$)/, (digit) => (digit === "1" ? "2" : "1")) : data);
  await assert.rejects(pinned.latest("edits"), Damaged);
  await assert.rejects(pinned.key("builds", "owner-8", "f42"), Damaged);
  corrupt = (path, data) => data;
  assert.ok((await pinned.latest("edits")).rows.length);
  corrupt = () => "no JSON";
  await assert.rejects(new Client(SITE).latest("edits"), Damaged);
});

test("without a place to compute digests, pinning says why it cannot be", async () => {
  const known = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  try {
    await assert.rejects(new Client(SITE).pin(), (error) => error instanceof Unverifiable && /https/.test(error.message));
    await assert.rejects(keyPath(["x".repeat(121)]), Unverifiable);
    assert.equal(await keyPath(["short"]), "short");
  } finally {
    Object.defineProperty(globalThis, "crypto", known);
  }
});

test("a watch asks for the index alone, is answered 304, and tells what changed", async () => {
  const client = new Client(SITE);
  const seen = [];
  let noticed;
  const stop = client.watch(
    (index, changed) => {
      seen.push([index.generation, changed]);
      noticed?.();
    },
    { every: 0.05 },
  );
  while (asked.filter(([, status]) => status === 304).length < 2) await new Promise((done) => setTimeout(done, 10));
  assert.equal(seen.length, 1);
  const changed = new Promise((done) => (noticed = done));
  await realFetch(process.env.STATSCACHE_PUBLISH);
  await changed;
  stop();
  assert.equal(seen[1][0], seen[0][0] + 1);
  assert.ok(seen[1][1].includes("v1/plugins/edits/latest.json"));
  assert.ok(!seen[1][1].includes("v1/plugins/newest-build/latest.json"));
  assert.deepEqual([...new Set(paths())], ["v1/index.json"]);
  // A request may be under way.
  const count = begun;
  await new Promise((done) => setTimeout(done, 150));
  assert.equal(begun, count);
});

test("a watch outlives a failure, and tells of it", async () => {
  let broken = true;
  corrupt = (path, data) => (broken ? "no JSON" : data);
  const told = new Promise((done) => {
    const stop = new Client(SITE).watch((index) => (stop(), done(index)), { every: 0.02, onerror: () => (broken = false) });
  });
  assert.equal((await told).schema, "statscache/index/1");
  assert.equal(broken, false);
});

test("a site that does not answer is distinguished from one that lacks a document", async () => {
  await assert.rejects(new Client("http://127.0.0.1:1/").discover(), Unreachable);
  assert.ok(new NotPublished("x") instanceof StatscacheError);
});

test("an index that has expired is late", async () => {
  const index = await new Client(SITE).discover();
  assert.equal(isLate(index, index.expires_at), false);
  assert.equal(isLate(index, index.expires_at + 1), true);
  assert.equal(isOld(index, index.through + 3600), false);
  assert.equal(isOld(index, index.through + 3 * index.interval + 3601), true);
  assert.equal(isOld({ ...index, through: null }), false);
});

test("with keys, documents are those that follow from the signed index", async () => {
  const client = new Client(SITE, { keys });
  assert.deepEqual(await client.discover(), await published("v1/index.json"));
  assert.deepEqual(await client.latest("edits"), await published("v1/plugins/edits/latest.json"));
  assert.deepEqual(await client.key("builds", "owner-7", "f42"), await published("v1/plugins/builds/by/owner-7.f42.json"));
  assert.equal((await client.series("edits", "1d", 1438992000, 1439164800)).rows.length, 3);
  corrupt = (path, data) => (path.startsWith("v1/objects/") ? data.replace("[", "[ ") : data);
  await assert.rejects(new Client(SITE, { keys }).latest("edits"), Damaged);
  await assert.rejects(new Client(SITE, { keys }).series("edits", "1d", 1438992000, 1439164800), Damaged);
});

test("with keys, an index that was altered, or is not signed, is refused", async () => {
  const altered = (change) => {
    corrupt = (path, data) => {
      const index = JSON.parse(data);
      change(index);
      return JSON.stringify(index);
    };
    return assert.rejects(new Client(SITE, { keys }).latest("edits"), BadSignature);
  };
  await altered((index) => (index.through += 1));
  await altered((index) => (index.plugins[0].documents[0].size += 1));
  await altered((index) => (index.signatures = []));
  await altered((index) => (index.signatures = null));
  await altered((index) => (index.signatures[0].signature = "?"));
  await altered((index) => (index.signatures[0].key = "0".repeat(16)));
  assert.throws(() => new Client(SITE, { keys: ["no key"] }), TypeError);
  const { importKey } = webcrypto.subtle;
  webcrypto.subtle.importKey = async () => {
    throw new DOMException("Unrecognized algorithm name", "NotSupportedError");
  };
  corrupt = (path, data) => data;
  try {
    await assert.rejects(new Client(SITE, { keys }).discover(), Unverifiable);
  } finally {
    webcrypto.subtle.importKey = importKey;
  }
});

test("with keys, an index that has expired is refused unless it is accepted", async () => {
  const { now } = Date;
  Date.now = () => now() + 4 * DAY * 1000;
  try {
    await assert.rejects(new Client(SITE, { keys }).pin(), Outdated);
    assert.ok((await new Client(SITE, { keys, acceptExpired: true }).pin()).isLate);
  } finally {
    Date.now = now;
  }
});

test("the types name what the module exports", async () => {
  const types = await readFile(new URL("../../site/statscache.d.ts", import.meta.url), "utf8");
  const declared = [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(await import(MODULE)).sort());
});
