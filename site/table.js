// Adds to tables that are complete without it: a filter over all rows, and sorting by a column.
// The first filter of a page is in its address as `filter`, so that a link shows the same rows.
(() => {
  "use strict";
  const { compare: inOrder } = new Intl.Collator("en", { numeric: true });
  const count = (number) => number.toLocaleString("en");

  const sortKey = (row, column) => {
    const { classList, dataset, lastChild } = row.cells[column];
    if (classList.contains("unknown")) return "";
    // Behind the rank.
    const text = dataset.sort ?? lastChild?.textContent ?? "";
    return classList.contains("number") ? Number(text.replaceAll(",", "").replace("\u2212", "-")) : text;
  };

  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? 1 : -1;
    return inOrder(a, b);
  };

  const addSorting = (part, table) => {
    const body = table.tBodies[0];
    const published = [...body.rows];
    if (published.length < 2) return;
    const heads = [...table.tHead.rows[0].cells];
    const choice = part.querySelector("[data-order]");
    // What people look for in numbers and times are the greatest and the newest.
    const isFalling = (head) => head.matches(".number, .time");
    const sort = (column, down) => {
      for (const head of heads) head.removeAttribute("aria-sort");
      heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
      // Equal rows keep their order either way.
      const sign = down ? -1 : 1;
      body.append(...[...body.rows].sort((a, b) => sign * compare(sortKey(a, column), sortKey(b, column))));
    };
    heads.forEach((head, column) => {
      if (head.matches(".link")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const down = was ? was === "ascending" : isFalling(head);
        sort(column, down);
        if (choice) choice.value = down === isFalling(head) ? column : "none of them";
      });
    });
    // Cards have no head that could be clicked.
    choice?.addEventListener("change", () => {
      if (choice.value) return sort(Number(choice.value), isFalling(heads[choice.value]));
      for (const head of heads) head.removeAttribute("aria-sort");
      body.append(...published);
    });
  };

  const addFilter = (part, table, inAddress) => {
    const field = part.querySelector("[data-filter]");
    if (!field) return;
    const said = part.querySelector("[role=status]");
    const text = (cell) => `${cell.textContent} ${cell.querySelector("a[rel]")?.href ?? ""}`;
    const rows = [...table.tBodies[0].rows].map((row) => [row, [...row.cells].map(text).join(" ").toLowerCase()]);
    const apply = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) shown += 1;
      }
      said.textContent = words.length ? `${count(shown)} of ${count(rows.length)} rows` : "";
      part.querySelector(".scroll").scrollTop = 0;
      // Scroll to the first match, also on a phone.
      if (words.length && part.getBoundingClientRect().top > innerHeight / 2) part.scrollIntoView();
    };
    const changed = () => {
      apply();
      if (!inAddress) return;
      const address = new URL(location.href);
      if (field.value) address.searchParams.set("filter", field.value);
      else address.searchParams.delete("filter");
      history.replaceState(history.state, "", address);
    };
    field.addEventListener("input", changed);
    // What was typed before this script ran, or what the browser restores after a reload, stays.
    if (inAddress) field.value ||= new URLSearchParams(location.search).get("filter") ?? "";
    if (field.value) changed();
  };

  [...document.querySelectorAll("[data-table]")].forEach((part, at) => {
    const table = part.querySelector("table");
    addFilter(part, table, at === 0);
    addSorting(part, table);
  });
})();
