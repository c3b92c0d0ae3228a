// Reads a site that statscache publishes. An ES module without dependencies, for browsers and for Node.
//
//   import { Client } from "https://stats.example.org/assets/statscache.js";
//   const { rows } = await new Client().latest("volume");
//
// statscache.d.ts beside it describes the types, and the site's docs/widgets/ explains how to use it.

const INDEX = "v1/index.json";
const HERE = import.meta.url.startsWith("file:") ? null : new URL("..", import.meta.url).href;
// Documents that have no object, and lists that the index does not name.
const OF_KEYS = /^v1\/(plugins\/[^/]+\/by|entities)\//;
const LONGEST_KEY = 120;
const SPLIT_DIGITS = 15;

/** The base class of all errors of this module. */
export class StatscacheError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}
/** There is no such plugin, document or resolution. */
export class NotPublished extends StatscacheError {}
/** The site does not answer. Show the last numbers with their age. */
export class Unreachable extends StatscacheError {}
/** The answer does not match its digest or its form. */
export class Damaged extends StatscacheError {}
class Gone extends Damaged {}
/** A key document is of another generation than the pinned one. Pin again, or read it by the client. */
export class Replaced extends StatscacheError {}
/** This environment cannot compute digests or check signatures. */
export class Unverifiable extends StatscacheError {}
/** No signature of the index is by a trusted key. Do not use the numbers. */
export class BadSignature extends StatscacheError {}
/** The signed index has expired, or is older than one that was read before: a mirror may be stale or hostile. */
export class Outdated extends StatscacheError {}

/** The file name, without extension, of the document of a key: an array of text and null. */
export async function keyPath(key) {
  const name = key.map((part) => (part === null ? "__" : encoded(String(part)) || "_")).join(".");
  if (name.length <= LONGEST_KEY) return name;
  return `${name.slice(0, 80)}~${(await sha256(new TextEncoder().encode(name))).slice(0, 32)}`;
}

/** Whether the index is overdue, so that its numbers may be old. */
export const isLate = (index, now = Date.now() / 1000) => index.expires_at < now;

/** Whether the newest message is old by the reader's clock, even if the site is published on time. */
export const isOld = (index, now = Date.now() / 1000) => index.through !== null && now - index.through > Math.max(3 * index.interval, 3600);

/**
 * The whole days of `[start, end)` that are not wholly known: before the plugin's `since`, and in its gaps. A day of a key
 * that is absent is zero outside them, to the index's `slow_through`.
 */
export const unknownDays = ({ since, gaps }, start, end) => clipped([[start, Math.max(start, since ?? end)], ...gaps], start, end);

/** The base of `Client` and `Pinned`, which differ in how a path becomes a document. */
class Reader {
  latest(plugin) {
    return this.document(plugin, "latest");
  }

  async document(plugin, name) {
    checkName(plugin, "plugin");
    checkName(name, "document");
    return this._required(`v1/plugins/${plugin}/${name}.json`);
  }

  async key(plugin, ...key) {
    checkName(plugin, "plugin");
    return this._optional(`v1/plugins/${plugin}/by/${await keyPath(key)}.json`);
  }

  async keyYear(plugin, year, ...key) {
    checkName(plugin, "plugin");
    if (!Number.isInteger(year)) throw new TypeError(`${JSON.stringify(year)} is not a year, such as 2015`);
    return this._optional(`v1/plugins/${plugin}/by/${await keyPath(key)}/${year}.json`);
  }

  entities(entity) {
    return this.entityNames(entity, null);
  }

  async entityNames(entity, prefix) {
    checkName(entity, "entity");
    return this._optional(`v1/entities/${entity}/${prefix === null ? "index" : await keyPath([prefix])}.json`);
  }

  async series(plugin, resolution, start, end) {
    checkName(plugin, "plugin");
    if (!/^[0-9a-z]+$/.test(resolution)) throw new TypeError(`${JSON.stringify(resolution)} is not a resolution, such as "1h"`);
    let [first, last] = [seconds(start), seconds(end)];
    const [index, listed] = await Promise.all([
      this.discover(),
      this._required(`v1/plugins/${plugin}/series/${resolution}/index.json`),
    ]);
    const { width } = listed;
    if (width) [first, last] = [Math.floor(first / width) * width, Math.ceil(last / width) * width];
    const wanted = listed.periods.filter((period) => period.end > first && period.start < last);
    // Objects never change: the browser's cache holds them forever.
    const parts = await Promise.all(wanted.map((period) => this._object(period.object, period.size)));
    const about = index.plugins.find(({ name }) => name === plugin);
    // After its last period with a row, a plugin that is up to date has counted nothing.
    const through = resolution === "1m" ? index.through : index.slow_through;
    const current = about?.state === "ok" && through !== null && width;
    // Time before the oldest period, or before the first data, is unknown too.
    const oldest = Math.min(listed.periods[0]?.start ?? Infinity, about?.since ?? Infinity);
    const kept = listed.keep && through !== null ? Math.min(listed.periods[0]?.start ?? Infinity, through - (through % width) - listed.keep) : -Infinity;
    const before = [first, Math.max(first, Math.min(last, Math.max(oldest, kept)))];
    const complete = current ? through - (through % width) : listed.complete_through ?? first;
    return {
      columns: parts[0]?.columns ?? ["timestamp", ...(about?.dimensions ?? []), "value"],
      rows: parts.flatMap((part) => part.rows.filter(([time]) => first <= time && time < last)),
      start: first,
      end: last,
      width,
      since: listed.periods[0]?.start ?? null,
      complete_through: Math.max(first, Math.min(last, complete)),
      gaps: clipped([before, ...parts.flatMap((part) => part.gaps)], first, last),
    };
  }
}

/**
 * Reads the current snapshot: the index, then the objects that it names; key documents, which have no objects, at their
 * readable paths. With keys, only documents whose digest follows from a signed index.
 */
export class Client extends Reader {
  #known = new Map();
  #asked = new Map();
  #timeout;
  #keys;
  #acceptExpired;
  #newest = null;
  #trusted = null;

  constructor(base = HERE, { timeout = 15, keys = [], acceptExpired = false } = {}) {
    super();
    if (base === null) throw new TypeError("this module was loaded from a file: give the address of a site, as in new Client(url)");
    this.base = new URL(base.endsWith("/") ? base : `${base}/`, globalThis.document?.baseURI).href;
    this.#timeout = timeout;
    this.#keys = keys.map(rawKey);
    this.#acceptExpired = acceptExpired;
  }

  async discover() {
    const index = await this.#document(INDEX);
    if (index === null) throw new NotPublished(`${this.base}${INDEX} is not published`);
    if (index.schema !== "statscache/index/1" || !Array.isArray(index.plugins)) {
      throw new Damaged(`${this.base}${INDEX} is not an index of statscache, v1`);
    }
    if (this.#keys.length) await checkSignature(index, this.#keys);
    // One edge of a CDN may be behind another; the pointer never goes back.
    if (!this.#newest || !isOlder(index, this.#newest)) this.#newest = index;
    if (this.#keys.length && !this.#acceptExpired && isLate(this.#newest)) {
      throw new Outdated(`${this.base}${INDEX} has expired: a newer one may be kept back; acceptExpired reads it anyway`);
    }
    return this.#newest;
  }

  async pin() {
    digests();
    return new Pinned(await this.discover(), this);
  }

  watch(listener, { every = 60, signal, onerror = () => {} } = {}) {
    let before = null;
    let timer;
    let stopped = false;
    const stop = () => {
      stopped = true;
      clearTimeout(timer);
    };
    const look = async () => {
      try {
        // A hidden page does not poll; it catches up when it is shown.
        if (globalThis.document?.visibilityState !== "hidden") {
          const index = await this.discover();
          if (!stopped && index.snapshot !== before?.snapshot) await listener(index, changedPaths(before, index));
          before = index;
        }
      } catch (error) {
        if (!stopped) onerror(error);
      }
      if (!stopped) timer = setTimeout(look, every * 1000);
    };
    signal?.addEventListener("abort", stop, { once: true });
    if (!signal?.aborted) look();
    return stop;
  }

  async _required(path) {
    const document = await this._optional(path);
    if (document === null) throw new NotPublished(`${this.base}${path} is not published`);
    return document;
  }

  /** With keys, a file at a readable path must have the digest in the signed index or in a manifest. */
  async _optional(path) {
    if (this.#keys.length) return (await this.#current())._optional(path);
    if (OF_KEYS.test(path)) return this.#document(path);
    const current = await this.#current();
    if (!current.named.has(path)) return this.#document(path);
    try {
      return await current._optional(path);
    } catch (error) {
      // The index came from a stale cache, and the object was deleted since.
      const newer = error instanceof Gone ? await this.#current() : current;
      if (newer === current) throw error;
      return newer._optional(path);
    }
  }

  async _object(name, size) {
    return (await this.#current())._object(name, size);
  }

  /** The current snapshot, whose documents stay in memory until the next one. */
  async #current() {
    const index = await this.discover();
    // Without keys, unchecked numbers are better than none.
    const checks = this.#keys.length > 0 || Boolean(globalThis.crypto?.subtle);
    if (this.#trusted?.index.snapshot !== index.snapshot) this.#trusted = new Pinned(index, this, checks);
    return this.#trusted;
  }

  /** Concurrent requests for one path are fetched once. */
  #document(path) {
    if (!this.#asked.has(path)) this.#asked.set(path, this.#read(path).finally(() => this.#asked.delete(path)));
    return this.#asked.get(path);
  }

  async #read(path) {
    // A browser keeps what it fetched and asks for changes only; elsewhere that is done here. In a browser these
    // headers would make the request one that the server must allow beforehand.
    const known = hasNoCache ? this.#known.get(path) : undefined;
    const response = await this.#fetch(path, { cache: "no-cache", headers: known?.headers });
    if (response?.status === 304) return known.document;
    if (response === null) return null;
    const document = parsed(response.data, path);
    if (hasNoCache) {
      const [etag, modified] = [response.headers.get("etag"), response.headers.get("last-modified")];
      const headers = { ...(etag && { "If-None-Match": etag }), ...(modified && { "If-Modified-Since": modified }) };
      this.#known.set(path, { headers, document });
    }
    return document;
  }

  async _bytes(path) {
    return (await this.#fetch(path, { cache: "no-cache" }))?.data ?? null;
  }

  async _objectBytes(name, size) {
    const path = `v1/objects/${name.slice(0, 2)}/${name}`;
    const response = await this.#fetch(path);
    if (response === null) throw new Gone(`${this.base}${path} is gone: it is retained no longer`);
    const { data } = response;
    if (size !== undefined && data.length !== size) throw new Damaged(`${path} has ${data.length} bytes, not ${size}`);
    return data;
  }

  /** Status, headers and bytes of a file; null if there is none. */
  async #fetch(path, options = {}) {
    const url = this.base + path;
    let response, data;
    try {
      response = await fetch(url, { ...options, signal: AbortSignal.timeout(this.#timeout * 1000) });
      data = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw new Unreachable(`${url} does not answer: ${error.message}`, { cause: error });
    }
    const { status, headers } = response;
    if (status === 404 || status === 403) return null; // a bucket that must not be listed says 403
    if (!response.ok && status !== 304) throw new Unreachable(`${url} answers with status ${status}`);
    return { status, headers, data };
  }
}

/** Reads one snapshot: its documents fit together, whatever is published meanwhile. All digests are checked. */
export class Pinned extends Reader {
  #client;
  #checks;
  #objects = new Map();

  /** Use `Client.pin` instead. */
  constructor(index, client, checks = true) {
    super();
    this.index = index;
    this.#checks = checks;
    this.#client = client;
    this.named = new Map(index.plugins.flatMap(({ documents }) => documents.map((entry) => [entry.path, entry])));
  }

  get isLate() {
    return isLate(this.index);
  }

  async discover() {
    return this.index;
  }

  async _required(path) {
    const document = await this._optional(path);
    if (document === null) throw new NotPublished(`generation ${this.index.generation} has no ${path}`);
    return document;
  }

  async _optional(path) {
    const entry = this.named.get(path) ?? (await this.#find(path));
    if (entry?.type === "path") return this.#current(path, entry.digest);
    return entry ? this._object(entry.object, entry.size) : null;
  }

  /** The file at a readable path, if its digest is that of the snapshot: key documents have no objects. */
  #current(path, digest) {
    return this.#once(digest, async () => {
      const data = await this.#client._bytes(path);
      if (data === null || (await sha256(data)) !== digest) {
        throw new Replaced(`${path} is of another generation than ${this.index.generation}`);
      }
      return parsed(data, path);
    });
  }

  _object(name, size) {
    return this.#once(name, () => this.#verified(name, size));
  }

  #once(name, fetch) {
    if (!this.#objects.has(name)) {
      const fetched = fetch();
      fetched.catch(() => this.#objects.delete(name));
      this.#objects.set(name, fetched);
    }
    return this.#objects.get(name);
  }

  async #verified(name, size) {
    const data = await this.#client._objectBytes(name, size);
    if (this.#checks && (await sha256(data)) !== name.split(".")[0]) throw new Damaged(`${name} has bytes that do not match its name`);
    return parsed(data, name);
  }

  /** The entry of a data file, by way of the manifests. */
  async #find(path) {
    const root = await this._object(`${this.index.snapshot}.json`);
    let entry = own(root.entries, "data");
    for (const name of steps(path)) {
      if (!entry || entry.type === "file" || entry.type === "path") return null;
      let { entries } = await this._object(entry.object, entry.size);
      const digest = await sha256(new TextEncoder().encode(name));
      for (const digit of digest.slice(0, SPLIT_DIGITS)) {
        const part = own(entries, digit);
        if (part?.type !== "split") break;
        ({ entries } = await this._object(part.object, part.size));
      }
      entry = own(entries, name);
      if (entry?.type === "split") return null;
    }
    return entry?.type === "file" || entry?.type === "path" ? entry : null;
  }
}

const hasNoCache = typeof globalThis.document === "undefined" && typeof globalThis.WorkerGlobalScope === "undefined";

const own = (object, name) => (Object.hasOwn(object ?? {}, name) ? object[name] : undefined);

/** The names on the way from manifest to manifest to a file: below `by/`, the rest of the path is one name. */
const steps = (path) => {
  const [, root, rest] = /^(v1\/plugins\/[^/]+\/by)\/(.+)$/.exec(path) ?? [];
  return root ? [...root.split("/"), rest] : path.split("/");
};

const encoded = (text) =>
  [...new TextEncoder().encode(text)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[a-z0-9-]/.test(letter) ? letter : `_${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");

function digests() {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new Unverifiable(
      "digests cannot be computed here, because crypto.subtle is missing: browsers have it on pages of https: and localhost only",
    );
  }
  return subtle;
}

/** Whether an index was published before another one; clocks may go back, generations do not. */
const isOlder = (index, other) =>
  index.generation < other.generation || (index.generation === other.generation && index.generated_at < other.generated_at);

/** The 32 bytes of an Ed25519 public key, which follow 12 fixed ones (RFC 8410) in its PEM form. */
function rawKey(pem) {
  const [, base64] = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(pem) ?? [];
  const der = base64?.trim().startsWith("MCowBQYDK2VwAyEA") ? bytes(base64.replace(/\s/g, "")) : null;
  if (der?.length !== 44) throw new TypeError("a key is not an Ed25519 public key in PEM, as `openssl pkey -pubout` makes it");
  return der.slice(-32);
}

/** Throws unless a signature of the whole index is by one of the keys, and no signature claims a key falsely. */
async function checkSignature(index, keys) {
  const { signatures, ...covered } = index;
  const text = new TextEncoder();
  const digest = await sha256(text.encode(`${canonical(covered)}\n`));
  const signed = text.encode(`statscache/v2\n${digest}\n`);
  let good = false;
  for (const raw of keys) {
    const name = (await sha256(raw)).slice(0, 16);
    const entry = Array.isArray(signatures) ? signatures.find((one) => one?.key === name && one.algorithm === "ed25519") : null;
    if (!entry) continue;
    if (!(await isSignedBy(raw, bytes(entry.signature), signed))) {
      throw new BadSignature(`the signature by the key ${name} does not fit the index: it was altered`);
    }
    good = true;
  }
  if (!good) throw new BadSignature("no signature of the index is by a trusted key");
}

async function isSignedBy(raw, signature, signed) {
  let key;
  try {
    key = await digests().importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error instanceof Unverifiable) throw error;
    throw new Unverifiable(`signatures cannot be checked here: there is no Ed25519 (${error.message})`, { cause: error });
  }
  return signature !== null && digests().verify({ name: "Ed25519" }, key, signature, signed);
}

/** The bytes of a base64 text; null if it is not base64. */
function bytes(base64) {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

/** Canonical JSON, whose digest is signed: keys sorted, no spaces. The keys of an index are ASCII. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

async function sha256(data) {
  const digest = new Uint8Array(await digests().digest("SHA-256", data));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parsed(data, path) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (error) {
    throw new Damaged(`${path} is not JSON: ${error.message}`, { cause: error });
  }
  if (value === null || typeof value !== "object") throw new Damaged(`${path} is not a JSON object`);
  return value;
}

function checkName(name, what) {
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]*$/.test(name)) {
    throw new TypeError(`${JSON.stringify(name)} is not the name of a ${what}: lowercase letters, digits and "-"`);
  }
}

function seconds(moment) {
  const value = moment instanceof Date ? Math.floor(moment.getTime() / 1000) : moment;
  if (!Number.isFinite(value)) throw new TypeError(`${String(moment)} is not a time: a Date, or seconds since 1970 UTC`);
  return value;
}

function joined(gaps) {
  const all = [];
  for (const [low, high] of [...gaps].sort(([a], [b]) => a - b)) {
    const last = all.at(-1);
    if (last && low <= last[1]) last[1] = Math.max(last[1], high);
    else all.push([low, high]);
  }
  return all;
}

/** What of the intervals lies in `[start, end)`, joined. */
const clipped = (intervals, start, end) =>
  joined(intervals).map(([low, high]) => [Math.max(low, start), Math.min(high, end)]).filter(([low, high]) => low < high);

/** The paths of fixed documents that one index has other bytes for than the one before. */
function changedPaths(before, index) {
  const known = new Map((before?.plugins ?? []).flatMap((plugin) => plugin.documents.map((entry) => [entry.path, entry.object])));
  const now = index.plugins.flatMap((plugin) => plugin.documents);
  return now.filter((entry) => known.get(entry.path) !== entry.object).map((entry) => entry.path);
}
