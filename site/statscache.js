// Reads a site that statscache publishes. An ES module without dependencies, for browsers and for Node.
//
//   import { Client } from "https://stats.example.org/assets/statscache.js";
//   const { rows } = await new Client().latest("volume");
//
// statscache.d.ts beside it describes the types, and the site's docs/widgets/ explains how to use it.

const INDEX = "v1/index.json";
const HERE = new URL("..", import.meta.url).href;
const LONGEST_KEY = 120;
const SPLIT_DIGITS = 15;

/** What this module throws is one of these. */
export class StatscacheError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}
/** There is no such plugin, document or resolution. */
export class NotPublished extends StatscacheError {}
/** The site does not answer. Show the last numbers, with their age. */
export class Unreachable extends StatscacheError {}
/** What the site answers is not what it announced. */
export class Damaged extends StatscacheError {}
/** The document of a key is of another generation than the pinned one. Pin again, or read it by the client. */
export class Replaced extends StatscacheError {}
/** Digests cannot be computed here. */
export class Unverifiable extends StatscacheError {}

/** The file name, without extension, of the document of a key: an array of text and null. */
export async function keyPath(key) {
  const name = key.map((part) => (part === null ? "__" : encoded(String(part)) || "_")).join(".");
  if (name.length <= LONGEST_KEY) return name;
  return `${name.slice(0, 80)}~${(await sha256(new TextEncoder().encode(name))).slice(0, 32)}`;
}

/** Whether the site should have renewed this index by now, so that its numbers may be old. */
export const isLate = (index, now = Date.now() / 1000) => index.expires_at < now;

/** Whether the newest message is old by the reader's clock, though the site may be renewed on time. */
export const isOld = (index, now = Date.now() / 1000) => index.through !== null && now - index.through > Math.max(3 * index.interval, 3600);

/** What `Client` and `Pinned` have in common: they differ in how a path becomes a document. */
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
    if (!Number.isInteger(year)) throw new TypeError(`${JSON.stringify(year)} is no year, such as 2015`);
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
    if (!/^[0-9a-z]+$/.test(resolution)) throw new TypeError(`${JSON.stringify(resolution)} is no resolution, such as "1h"`);
    let [first, last] = [seconds(start), seconds(end)];
    const [index, listed] = await Promise.all([
      this.discover(),
      this._required(`v1/plugins/${plugin}/series/${resolution}/index.json`),
    ]);
    const { width } = listed;
    if (width) [first, last] = [Math.floor(first / width) * width, Math.ceil(last / width) * width];
    const wanted = listed.periods.filter((period) => period.end > first && period.start < last);
    // Objects never change, so what was fetched once comes from the browser's cache for ever.
    const parts = await Promise.all(wanted.map((period) => this._object(period.object, period.size)));
    const about = index.plugins.find(({ name }) => name === plugin);
    // After its last period with a row, a plugin that is up to date has counted nothing.
    const through = resolution === "1m" ? index.through : index.slow_through;
    const current = about?.state === "ok" && through !== null && width;
    const complete = current ? through - (through % width) : listed.complete_through ?? first;
    return {
      columns: parts[0]?.columns ?? ["timestamp", ...(about?.dimensions ?? []), "value"],
      rows: parts.flatMap((part) => part.rows.filter(([time]) => first <= time && time < last)),
      start: first,
      end: last,
      width,
      since: listed.periods[0]?.start ?? null,
      complete_through: Math.max(first, Math.min(last, complete)),
      gaps: joined(parts.flatMap((part) => part.gaps)).map(([low, high]) => [Math.max(low, first), Math.min(high, last)])
        .filter(([low, high]) => low < high),
    };
  }
}

/** Reads what is current, one readable path at a time. */
export class Client extends Reader {
  #known = new Map();
  #asked = new Map();
  #timeout;
  #newest = null;

  constructor(base = HERE, { timeout = 15 } = {}) {
    super();
    this.base = new URL(base.endsWith("/") ? base : `${base}/`, globalThis.document?.baseURI).href;
    this.#timeout = timeout;
  }

  async discover() {
    const index = await this._required(INDEX);
    if (index.schema !== "statscache/index/1" || !Array.isArray(index.plugins)) {
      throw new Damaged(`${this.base}${INDEX} is no index of statscache, v1`);
    }
    // One edge of a CDN may be behind another; the pointer never goes back.
    if (!this.#newest || index.generated_at >= this.#newest.generated_at) this.#newest = index;
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
        // Nobody looks at a hidden page; it catches up when it is shown.
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

  /** What several ask for at the same time is fetched once. */
  _optional(path) {
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

  async _object(name, size) {
    return parsed(await this._objectBytes(name, size), name);
  }

  async _bytes(path) {
    return (await this.#fetch(path, { cache: "no-cache" }))?.data ?? null;
  }

  async _objectBytes(name, size) {
    const path = `v1/objects/${name.slice(0, 2)}/${name}`;
    const response = await this.#fetch(path);
    if (response === null) throw new Damaged(`${this.base}${path} is gone: it is retained no longer`);
    const { data } = response;
    if (size !== undefined && data.length !== size) throw new Damaged(`${path} has ${data.length} bytes, not ${size}`);
    return data;
  }

  /** Status, headers and bytes of a file; null where there is none. */
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

/** Reads one snapshot: whatever is published meanwhile, its documents fit each other. All digests are checked. */
export class Pinned extends Reader {
  #client;
  #objects = new Map();

  /** Use `Client.pin` instead. */
  constructor(index, client) {
    super();
    this.index = index;
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

  /** What is at a path now, if that is what the snapshot has there: documents of keys have no objects. */
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
    if ((await sha256(data)) !== name.split(".")[0]) throw new Damaged(`${name} has other bytes than its name says`);
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

/** The names by which manifests lead to a file: below `by/`, the rest of the path is one. */
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

async function sha256(data) {
  const digest = new Uint8Array(await digests().digest("SHA-256", data));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parsed(data, path) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (error) {
    throw new Damaged(`${path} is no JSON: ${error.message}`, { cause: error });
  }
  if (value === null || typeof value !== "object") throw new Damaged(`${path} is no JSON object`);
  return value;
}

function checkName(name, what) {
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]*$/.test(name)) {
    throw new TypeError(`${JSON.stringify(name)} is no name of a ${what}: lowercase letters, digits and "-"`);
  }
}

function seconds(moment) {
  const value = moment instanceof Date ? Math.floor(moment.getTime() / 1000) : moment;
  if (!Number.isFinite(value)) throw new TypeError(`${String(moment)} is no time: a Date, or seconds since 1970 UTC`);
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

/** The paths of fixed documents that one index has other bytes for than the one before. */
function changedPaths(before, index) {
  const known = new Map((before?.plugins ?? []).flatMap((plugin) => plugin.documents.map((entry) => [entry.path, entry.object])));
  const now = index.plugins.flatMap((plugin) => plugin.documents);
  return now.filter((entry) => known.get(entry.path) !== entry.object).map((entry) => entry.path);
}
