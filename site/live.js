// Shows the documents outside the snapshot: the changes of the newest snapshot, and the health of the service.

import { isOld } from "./statscache.js";
import { clean, element, foreign, number } from "./dom.js";
import { clock } from "./labels.js";
import { fit } from "./rows.js";

const base = new URL("..", import.meta.url).href;
const MOST = 12;

const age = (seconds) => {
  const [name, size] = [["year", 31_556_952], ["day", 86400], ["hour", 3600], ["minute", 60]].find(([, size]) => seconds >= size) ?? ["second", 1];
  const count = Math.floor(seconds / size);
  return `${number(count)} ${name}${count === 1 ? "" : "s"}`;
};
const ago = (time) => `${age(Math.max(0, Date.now() / 1000 - time))} ago`;

async function read(path) {
  const response = await fetch(base + path, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  return response.json();
}

/** Statistics first, and of them the newest numbers before the long series. */
const weight = (path) => path.split("/").length + (path.startsWith("v1/plugins/") ? 0 : 10) + (path.endsWith("/latest.json") ? -1 : 0);

function showChanges(section, { snapshots }) {
  const [newest] = snapshots;
  if (!newest) return;
  const kinds = [["added", newest.added], ["changed", newest.changed], ["removed", newest.removed]];
  const counted = kinds.filter(([, paths]) => paths.length).map(([kind, paths]) => `${number(paths.length)} ${kind}`).join(", ");
  const summary = newest.truncated ? `${number(newest.documents)} documents` : counted;
  const list = element("ul", { class: "documents" });
  for (const [kind, paths] of kinds) {
    for (const path of [...paths].sort((a, b) => weight(a) - weight(b)).slice(0, MOST - list.children.length)) {
      const name = element("code", {}, foreign(path, 200));
      list.append(element("li", {}, kind === "removed" ? name : element("a", { href: base + path }, name), element("span", { class: "size" }, kind)));
    }
  }
  const rest = newest.documents - list.children.length;
  const when = element("p", { class: "note" }, `Generation ${number(newest.generation)}, made `, clock(newest.created_at), `: ${summary || "only pages and plots changed"}.`);
  const more = element("p", { class: "note" }, ...(rest > 0 ? [`And ${number(rest)} more. `] : []), element("a", { href: `${base}v1/changes.json` }, "What each snapshot changed"));
  section.replaceChildren(section.querySelector("h2"), when, list, more);
  section.hidden = false;
}

function table(caption, heads, rows) {
  const row = (name, cells) => element("tr", {}, ...cells.map((cell) => (cell instanceof Node ? element(name, {}, cell) : element(name, typeof cell === "number" ? { class: "number" } : {}, typeof cell === "number" ? number(cell) : cell))));
  const head = element("tr", {}, ...heads.map(([text, numeric]) => element("th", { scope: "col", class: numeric ? "number" : null }, text)));
  return fit(element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows.map((cells) => row("td", cells)))),
  ));
}

const first = (plugins) => Math.min(...plugins.map(({ since }) => since ?? Infinity));
const time = (moment) => (moment === null ? "never" : clock(moment));
const badge = (state) => (state === "ok" ? "ok" : element("span", { class: `badge ${clean(state)}` }, clean(state)));

function showStatus(section, status, index) {
  const troubles = [
    isOld(index) && `the newest message is ${age(Date.now() / 1000 - index.through)} old`,
    index.expires_at < Date.now() / 1000 && `nothing was published for ${age(Date.now() / 1000 - index.generated_at)}`,
    status.held && "a rollback holds publishing",
    status.problems.length && `${number(status.problems.length)} plugins could not be loaded`,
    ...["failed", "stale", "rebuilding"].map((state) => {
      const count = status.plugins.filter((plugin) => plugin.state === state).length;
      return count && `${number(count)} ${count === 1 ? "statistic is" : "statistics are"} ${state}`;
    }),
  ].filter(Boolean);
  const { journal } = status;
  const fact = (name, ...value) => element("div", {}, element("dt", {}, name), element("dd", {}, ...value));
  const part = (title, ...content) => [element("h2", {}, title), ...content];
  const reachable = () => [...section.querySelectorAll("a, [tabindex]")];
  const focused = reachable().indexOf(document.activeElement);
  const behind = (plugin) => element("a", { href: `${base}plugins/${plugin.name}/index.html` }, plugin.name);
  section.replaceChildren(
    element("p", { class: troubles.length ? "state-note" : "verdict", role: "status" }, troubles.length ? `Needs attention: ${troubles.join("; ")}.` : "All is well: messages arrive, and every statistic is up to date."),
    element(
      "dl",
      { class: "facts" },
      fact("Data through", status.through === null ? "none yet" : clock(status.through), ...(status.through === null ? [] : [` (${ago(status.through)})`])),
      fact("Data since", index.through === null ? "none yet" : first(index.plugins) > index.through ? "no whole day yet" : clock(first(index.plugins))),
      fact("Written", clock(status.generated_at), ` (${ago(status.generated_at)}), generation ${number(status.generation)}`),
      fact("Messages", `${number(journal.messages)} accepted; ${number(journal.known)} came again and were not counted twice`),
      fact("Quarantined", `${number(journal.quarantined)} were not messages, ${number(journal.held)} are dated in the future, ${number(journal.conflicts)} contradict an earlier copy, ${number(journal.foreign)} are of other environments`),
    ),
    ...part(
      "Sources",
      status.sources.length
        ? table("Sources", [["Source"], ["Delivered last"], ["Newest message"], ["Accepted", true]], status.sources.map((source) => [foreign(source.name), ago(source.seen_at), time(source.newest), source.accepted]))
        : element("p", { class: "note" }, "No live source has delivered; the data may come from archives."),
    ),
    ...part(
      "Statistics",
      table(
        "Statistics",
        [["Statistic"], ["State"], ["Last event"], ["Behind", true], ["Quarantined", true], ["Why"]],
        status.plugins.map((plugin) => [behind(plugin), badge(plugin.state), time(plugin.last_event), plugin.behind, plugin.quarantined, foreign(plugin.reason, 300)]),
      ),
    ),
    ...(status.problems.length
      ? part("Not loaded", table("Not loaded", [["Plugin"], ["Why"]], status.problems.map((problem) => [foreign(problem.name), foreign(problem.reason, 300)])))
      : []),
    ...part(
      "Gaps",
      status.gaps.length
        ? table("Gaps", [["From"], ["To"], ["Length"]], status.gaps.slice(-50).reverse().map(([start, end]) => [clock(start), clock(end), age(end - start)]))
        : element("p", { class: "note" }, "Nothing is known to be missing."),
    ),
    element("p", { class: "note" }, "From ", element("a", { href: `${base}v1/status.json` }, element("code", {}, "v1/status.json")), ", read again each minute."),
  );
  reachable()[focused]?.focus({ preventScroll: true });
}

const changes = document.querySelector("[data-changes]");
const health = document.querySelector("[data-status]");

let shown;

// page.js reads the index each minute; it is not read again here.
async function look(index) {
  try {
    if (health) showStatus(health, await read("v1/status.json"), index);
    if (changes && index.snapshot !== shown) showChanges(changes, await read("v1/changes.json"));
    shown = index.snapshot;
  } catch {
    // The last state, or the text for browsers without scripts, stays.
  }
}

document.addEventListener("statscache-index", () => look(document.statscacheIndex));
if (document.statscacheIndex) look(document.statscacheIndex);
