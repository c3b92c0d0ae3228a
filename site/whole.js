// All periods of a series as one file, made of those that are published.

/** The rows of the CSV files that a list links to, the oldest first, saved under one heading. */
export async function save(button) {
  const list = button.closest("[data-series]");
  const said = list.querySelector("[role=status]");
  const parts = [];
  button.disabled = true;
  try {
    for (const { href } of [...list.querySelectorAll('a[href$=".csv"]')].reverse()) {
      const response = await fetch(href);
      if (!response.ok) throw new Error(`${href} answers ${response.status}`);
      const text = await response.text();
      parts.push(parts.length ? text.slice(text.indexOf("\n") + 1) : text);
    }
    const url = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
    Object.assign(document.createElement("a"), { href: url, download: `${list.dataset.series}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    said.textContent = "Saved.";
  } catch ({ message }) {
    said.textContent = `The files could not be read: ${message}`;
  } finally {
    button.disabled = false;
  }
}
