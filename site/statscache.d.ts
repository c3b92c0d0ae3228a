// Types of statscache.js. The fields of the documents are explained in the site's docs/format/.

/** Seconds since 1970 UTC. */
export type Time = number;
/** A dimension: text, or null where it is unknown. */
export type Part = string | null;
export type State = "ok" | "stale" | "rebuilding" | "failed";
export type Value = string | number | boolean | null | Value[] | { [name: string]: Value };

export interface DocumentReference {
  path: string;
  object: string;
  size: number;
}

export interface IndexedPlugin {
  name: string;
  title: string;
  summary: string;
  definition: string;
  kind: string;
  unit: string;
  dimensions: string[];
  topics: string[];
  unbounded: boolean;
  people: boolean;
  headline: { [dimension: string]: string };
  /** Over what numbers must not be added up: names of dimensions, and `timestamp` for buckets of time. */
  not_added_up: string[];
  entities: { [dimension: string]: string };
  subject: string;
  state: State;
  last_event: Time | null;
  since: Time | null;
  /** From `since` on, in whole days. */
  gaps: [Time, Time][];
  documents: DocumentReference[];
}

export interface Index {
  schema: "statscache/index/1";
  generation: number;
  snapshot: string;
  manifest: string;
  parent: string | null;
  generated_at: Time;
  expires_at: Time;
  interval: number;
  through: Time | null;
  slow_through: Time | null;
  signatures: { algorithm: string; key: string; signature: string }[];
  plugins: IndexedPlugin[];
}

export interface PluginDocument {
  schema: string;
  plugin: string;
  through: Time | null;
  /** Windows that are not wholly known, and since when each is; null if its end is missing. */
  partial?: { [window: string]: Time | null };
  [field: string]: unknown;
}

export interface Latest extends PluginDocument {
  /** Of an unbounded plugin: how many keys there are. */
  keys?: number;
  rows: { [field: string]: Value }[];
}

/** `[start of the day, or Monday of the week, value]` */
export type Day = [Time, number];
export interface Days {
  [year: string]: Day[];
}

/** A part of a plugin with a breakdown; the part's name is under the breakdown's own name. */
export type KeyPart = { total: number; weeks: Days } & { [breakdown: string]: unknown };

export interface Key {
  schema: "statscache/key/1";
  plugin: string;
  key: Part[];
  total: number;
  first: Time;
  last: Time;
  /** Each year with an event, and its sum: those not in `days` have a document of their own, see `keyYear`. */
  years: [number, number][];
  /** The year of `last`, and the one before. */
  days: Days;
  /** The whole days of these years, to that of `last`, that are not wholly known: there, an absent day is not zero. */
  gaps: [Time, Time][];
  /** Of plugins with a breakdown; weeks are of the same years, by their Monday. */
  parts?: KeyPart[];
  /** Only of a plugin with `entries`: the newest messages that were counted for the key, newest first. */
  entries?: Record<string, unknown>[];
  through: Time;
}

/** An older year of a key. */
export interface KeyYear {
  schema: "statscache/key-year/1";
  plugin: string;
  key: Part[];
  year: number;
  total: number;
  days: Days;
  /** The whole days of the year that are not wholly known. */
  gaps: [Time, Time][];
  parts?: KeyPart[];
  through: Time;
}

export interface Series {
  /** `timestamp`, the dimensions, `value`. */
  columns: string[];
  /** One for each bucket and key that has a value. A bucket without a row is zero, unless a gap covers it. */
  rows: [Time, ...(Part | number)[]][];
  start: Time;
  end: Time;
  /** Start of the oldest period that is published; null where there is none. */
  since: Time | null;
  /** Seconds of a bucket. */
  width: number | null;
  /** Buckets that end at or before it are finished. */
  complete_through: Time;
  /** What is known to be missing, `[start, end)`: unknown, not zero. */
  gaps: [Time, Time][];
}

export class StatscacheError extends Error {}
/** There is no such plugin, document or resolution. */
export class NotPublished extends StatscacheError {}
/** The site does not answer. */
export class Unreachable extends StatscacheError {}
/** What the site answers is not what it announced. */
export class Damaged extends StatscacheError {}
/** The document of a key is of another generation than the pinned one. Pin again, or read it by the client. */
export class Replaced extends StatscacheError {}
/** Digests cannot be computed: the page is neither of https: nor of localhost. With keys: there is no Ed25519. */
export class Unverifiable extends StatscacheError {}
/** No signature of the index is by a key that is trusted. */
export class BadSignature extends StatscacheError {}
/** The signed index has expired. */
export class Outdated extends StatscacheError {}

interface Reader {
  /** What there is, and as of when. */
  discover(): Promise<Index>;
  /** The newest numbers of a plugin. */
  latest(plugin: string): Promise<Latest>;
  /** Another document that a plugin publishes. */
  document(plugin: string, name: string): Promise<PluginDocument>;
  /** The buckets between two times, widened to whole ones; only the periods between them are fetched. */
  series(plugin: string, resolution: string, start: Time | Date, end: Time | Date): Promise<Series>;
  /** What is published of one key of an unbounded plugin; null if it never occurred. */
  key(plugin: string, ...key: Part[]): Promise<Key | null>;
  /** An older year of a key, one that its document lists without its days; null if there is none. */
  keyYear(plugin: string, year: number, ...key: Part[]): Promise<KeyYear | null>;
  /** Which people, packages, releases or topics there are; null if the site has none of that entity. */
  entities(entity: string): Promise<Entities | null>;
  /** The names in the shard of a prefix that `entities` lists; null if there is none. */
  entityNames(entity: string, prefix: string): Promise<EntityNames | null>;
}

export interface WatchOptions {
  /** Seconds between two looks; 60 if not given. */
  every?: number;
  /** Ends the watch when it aborts. */
  signal?: AbortSignal;
  /** Called with the reason when a look failed; the next one comes anyway. */
  onerror?: (error: unknown) => void;
}

export interface ClientOptions {
  /** Seconds until a request is given up; 15 if not given. */
  timeout?: number;
  /** Ed25519 public keys in PEM, by one of which the index must be signed. */
  keys?: string[];
  /** Whether, with keys, an index that has expired is used anyway. */
  acceptExpired?: boolean;
}

export class Client implements Reader {
  /** @param base Address of the site's root; the site that this module came from if not given. */
  constructor(base?: string, options?: ClientOptions);
  readonly base: string;
  discover(): Promise<Index>;
  latest(plugin: string): Promise<Latest>;
  document(plugin: string, name: string): Promise<PluginDocument>;
  series(plugin: string, resolution: string, start: Time | Date, end: Time | Date): Promise<Series>;
  key(plugin: string, ...key: Part[]): Promise<Key | null>;
  keyYear(plugin: string, year: number, ...key: Part[]): Promise<KeyYear | null>;
  /** Which people, packages, releases or topics there are; null if the site has none of that entity. */
  entities(entity: string): Promise<Entities | null>;
  /** The names in the shard of a prefix that `entities` lists; null if there is none. */
  entityNames(entity: string, prefix: string): Promise<EntityNames | null>;
  /** A reader that keeps to the snapshot that is current now, and checks every digest. */
  pin(): Promise<Pinned>;
  /**
   * Calls the listener with the current index, and again whenever another snapshot is published.
   *
   * @param listener Is given the index and the paths of the fixed documents that changed.
   * @returns A function that ends the watch.
   */
  watch(listener: (index: Index, changed: string[]) => void | Promise<void>, options?: WatchOptions): () => void;
}

export class Pinned implements Reader {
  private constructor();
  readonly index: Index;
  /** Whether the site should have renewed its index by now. */
  readonly isLate: boolean;
  discover(): Promise<Index>;
  latest(plugin: string): Promise<Latest>;
  document(plugin: string, name: string): Promise<PluginDocument>;
  series(plugin: string, resolution: string, start: Time | Date, end: Time | Date): Promise<Series>;
  key(plugin: string, ...key: Part[]): Promise<Key | null>;
  keyYear(plugin: string, year: number, ...key: Part[]): Promise<KeyYear | null>;
  /** Which people, packages, releases or topics there are; null if the site has none of that entity. */
  entities(entity: string): Promise<Entities | null>;
  /** The names in the shard of a prefix that `entities` lists; null if there is none. */
  entityNames(entity: string, prefix: string): Promise<EntityNames | null>;
}

/** The file name, without extension, of the document of a key. */
export function keyPath(key: Part[]): Promise<string>;

/** The whole days of `[start, end)` of which not all is known: before the plugin's `since`, and in its gaps. */
export function unknownDays(plugin: IndexedPlugin, start: Time, end: Time): [Time, Time][];

/** A name, its rank (bits of its greatest total), and the plugins that counted it as a sum of 2 to the power of place. */
export type EntityName = [name: string, rank: number, plugins: number];

/** Which people, packages, releases or topics have been counted. `names` is there where they are few. */
export interface Entities {
  schema: "statscache/entities/1";
  entity: string;
  plugins: string[];
  count: number;
  shards: Record<string, number>;
  names?: EntityName[];
}

/** The names that begin with a prefix. */
export interface EntityNames {
  schema: "statscache/entity-names/1";
  entity: string;
  prefix: string;
  names: EntityName[];
}

/** Whether the site should have renewed its index by now. */
export function isLate(index: Index, now?: Time): boolean;
/** Whether the newest message is old by the reader's clock: an hour, or three intervals where these are longer. */
export function isOld(index: Index, now?: Time): boolean;
