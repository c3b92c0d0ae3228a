// Finds people, packages, releases and topics by name in the shards of v1/entities: a few kilobytes for any of 100,000 names.

/** The title of each entity, and the directory of its pages. */
export const ENTITIES = {
  person: { page: "people", one: "Person", many: "people" },
  package: { page: "packages", one: "Package", many: "packages" },
  release: { page: "releases", one: "Release", many: "releases" },
  topic: { page: "topics", one: "Topic", many: "topics" },
};

/** Fields of rows that name an entity, in addition to the dimensions that the index declares. */
const FIELDS = { agent: "person", cycle: "release" };
const SHORTEST = 2;
const MOST_SHARDS = 4;

/** The URL of the page of a name. */
export const pageOf = (client, entity, name) => `${client.base}${ENTITIES[entity].page}/index.html?${encodeURIComponent(name)}`;

/** The entities of the site, by its index. */
export const entitiesOf = (index) => {
  const there = new Set(index.plugins.flatMap((plugin) => Object.values(plugin.entities ?? {})));
  return Object.keys(ENTITIES).filter((entity) => there.has(entity));
};

/** The entity that a field of a row names; undefined if it has no page. */
export function entityOf(index, field) {
  const named = Object.assign({ ...FIELDS }, ...index.plugins.map((plugin) => plugin.entities ?? {}));
  const entity = Object.hasOwn(named, field) ? named[field] : undefined;
  return entitiesOf(index).includes(entity) ? entity : undefined;
}

export class Names {
  #client;
  #read = new Map();

  constructor(client) {
    this.#client = client;
  }

  /** The names that begin with a text, or contain it if there are few names: `[name, rank, plugins]`, best first. */
  async search(entity, text) {
    const wanted = text.trim().toLowerCase();
    const rows = await this.#near(entity, wanted);
    const scored = rows.map((row) => [score(row[0].toLowerCase(), wanted), row]).filter(([points]) => points > 0);
    scored.sort(([a, [one, rank]], [b, [other, than]]) => b - a || than - rank || (one < other ? -1 : 1));
    return scored.map(([points, row]) => ({ points, name: row[0], rank: row[1] }));
  }

  /** One name, ignoring case, with the plugins that counted it; null if there is none. */
  async find(entity, name) {
    const index = await this.#index(entity);
    const rows = await this.#near(entity, name.toLowerCase());
    const row = rows.find(([each]) => each === name) ?? rows.find(([each]) => each.toLowerCase() === name.toLowerCase());
    return row ? { name: row[0], count: index.count, plugins: index.plugins.filter((_, at) => Math.floor(row[2] / 2 ** at) % 2) } : null;
  }

  /** Known names that look like an unknown one, best first. */
  async like(entity, name, most = 8) {
    const wanted = name.toLowerCase();
    const rows = await this.#near(entity, [...wanted].slice(0, SHORTEST).join(""));
    const near = rows.map((row) => [distance(wanted, row[0].toLowerCase()), row]).filter(([far, [each]]) => far <= Math.max(2, each.length / 2));
    return near.sort(([a, [, rank]], [b, [, than]]) => a - b || than - rank).slice(0, most).map(([, [each]]) => each);
  }

  async #near(entity, text) {
    const index = await this.#index(entity);
    if (!index) return [];
    if (index.names) return index.names;
    const prefixes = Object.keys(index.shards);
    if ([...text].length < SHORTEST) return [];
    // Shards are chosen by the ASCII characters of a name: see docs/format.md.
    text = text.replace(/[^ -~]/gu, (character) => `_${character.codePointAt(0).toString(16)}.`);
    const holding = prefixes.filter((prefix) => text.startsWith(prefix)).sort((a, b) => b.length - a.length).slice(0, 1);
    const below = prefixes.filter((prefix) => prefix !== text && prefix.startsWith(text)).sort((a, b) => index.shards[b] - index.shards[a]);
    const shards = await Promise.all([...holding, ...below.slice(0, MOST_SHARDS)].map((prefix) => this.#once(entity, prefix)));
    return shards.flatMap((shard) => shard?.names ?? []);
  }

  #index(entity) {
    return this.#once(entity, "");
  }

  #once(entity, prefix) {
    const name = `${entity} ${prefix}`;
    if (!this.#read.has(name)) {
      const read = prefix ? this.#client.entityNames(entity, prefix) : this.#client.entities(entity);
      read.catch(() => this.#read.delete(name));
      this.#read.set(name, read);
    }
    return this.#read.get(name);
  }
}

/** How well a name matches the typed text: 4 equal, 3 begins with it, 2 a word begins with it, 1 contains it. */
export function score(name, text) {
  if (!text) return 0;
  if (name === text) return 4;
  if (name.startsWith(text)) return 3;
  const words = text.split(/\s+/);
  if (!words.every((word) => name.includes(word))) return 0;
  return words.every((word) => name.split(/[^a-z0-9]+/).some((each) => each.startsWith(word))) ? 2 : 1;
}

/** The names that look like another one, best first. */
export const near = (names, wanted, most = 3) => names.map((name) => [distance(wanted.toLowerCase(), name.toLowerCase()) - (name.includes(wanted) ? name.length : 0), name]).filter(([far, name]) => far <= Math.max(2, name.length / 2)).sort(([a], [b]) => a - b).slice(0, most).map(([, name]) => name);

/** The edit distance of two names. */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row.at(-1);
}
