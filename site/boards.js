// Reads other pages of the site: Release engineering, for search and for the page of a release,
// and the list of documentation pages, for search.

const read = new Map();

/** The elements that a selector finds in another page; none if the page cannot be read. */
function once(address, find) {
  if (!read.has(address)) {
    const found = parsed(address).then(find);
    found.catch(() => read.delete(address));
    read.set(address, found);
  }
  return read.get(address).catch(() => []);
}

async function parsed(address) {
  const response = await fetch(address, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${address}: status ${response.status}`);
  // DOMParser does not run the scripts of a document.
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** The groups of the Release engineering page, each with its items as `[element, text in lower case]`. */
export const groupsOf = (address) =>
  once(address, (page) =>
    [...page.querySelectorAll("[data-group]")].map((group) => {
      const { id, textContent: title } = group.querySelector("h2");
      const items = [...group.querySelectorAll("[data-item]")].map((item) => [item, `${group.dataset.group} ${item.textContent}`.toLowerCase()]);
      return { id, title, items };
    }),
  );

/** The pages of the documentation and their sections: title, page and URL of each. */
export const sectionsOf = (address) =>
  once(address, (page) =>
    [...page.querySelectorAll(".pages > li")].flatMap((item) =>
      [...item.querySelectorAll("a")].map((link) => ({ name: link.textContent, of: item.querySelector("a").textContent, href: new URL(link.getAttribute("href"), address).href })),
    ),
  );
