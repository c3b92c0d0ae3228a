// Reads the page Release engineering, which knows how all fares: for search, and for the page of a release.

const read = new Map();

/** The groups of the page, each with its items as `[element, text in lower case]`; none where it cannot be read. */
export function groupsOf(address) {
  if (!read.has(address)) {
    const groups = fetched(address);
    groups.catch(() => read.delete(address));
    read.set(address, groups);
  }
  return read.get(address).catch(() => []);
}

async function fetched(address) {
  const response = await fetch(address, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${address}: status ${response.status}`);
  // Scripts of a document that is parsed so do not run.
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return [...page.querySelectorAll("[data-group]")].map((group) => {
    const { id, textContent: title } = group.querySelector("h2");
    const items = [...group.querySelectorAll("[data-item]")].map((item) => [item, `${group.dataset.group} ${item.textContent}`.toLowerCase()]);
    return { id, title, items };
  });
}
