// Adds to the Release engineering page, which is complete without this script: the age of each entry, and a filter.
// The choice is stored in the URL, so that a link shows the same. Everything is set as text, never as markup.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const field = document.querySelector("[data-board-filter]");
  const said = field?.closest("p").querySelector("[role=status]");
  const choices = all("[data-choose]");

  const span = (seconds) => {
    const [size, name] = [[31_556_952, "y"], [86_400, "d"], [3_600, "h"], [60, "min"]].find(([size]) => seconds >= size) ?? [1, "s"];
    return `${Math.floor(seconds / size).toLocaleString("en")} ${name}`;
  };
  const showAges = () => {
    for (const node of all("time[data-age]")) node.dataset.age = `${span(Math.max(0, Date.now() / 1000 - Date.parse(node.dateTime) / 1000))} ago`;
  };
  showAges();
  setInterval(showAges, 60_000);
  if (!field) return;

  const text = (node) => node.textContent.toLowerCase();
  const items = all("[data-group]").flatMap((section) =>
    all("[data-item]", section).map((row) => {
      const places = row.querySelector("[data-places]");
      const own = [...row.children].filter((child) => child !== places).map(text).join(" ");
      return { row, section, places, base: `${section.dataset.group.toLowerCase()} ${own}`, lines: all("li", places ?? document.createElement("p")).map((line) => [line, text(line)]) };
    }),
  );

  const isShown = ({ row, places, base, lines }, words, chosen) => {
    const rest = words.filter((word) => !base.includes(word));
    if (!places) return !rest.length;
    const fits = ["release", "architecture", "provider"].every((name) => !chosen[name] || row.dataset[name] === chosen[name]);
    let shown = 0;
    for (const [line, words] of lines) {
      line.hidden = !fits || !((!chosen.region || line.firstElementChild.textContent === chosen.region) && rest.every((word) => words.includes(word)));
      if (!line.hidden) shown += 1;
    }
    // The list of regions opens only if the filter asks for something in it.
    places.open = shown > 0 && Boolean(chosen.region || rest.length);
    return shown > 0;
  };

  const apply = () => {
    const words = field.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const chosen = Object.fromEntries(choices.map((select) => [select.dataset.choose, select.value]));
    let shown = 0;
    for (const item of items) {
      item.row.hidden = !isShown(item, words, chosen);
      if (!item.row.hidden) shown += 1;
    }
    for (const more of all("[data-more]")) {
      const rows = all("[data-item]", more);
      more.hidden = rows.every((row) => row.hidden);
      const asked = words.length || (rows.some((row) => row.querySelector("[data-places]")) && Object.values(chosen).some(Boolean));
      if (asked && !more.open) more.dataset.opened = "";
      if (asked) more.open = true;
      else if ("opened" in more.dataset) {
        more.open = false;
        delete more.dataset.opened;
      }
    }
    for (const section of new Set(items.map((item) => item.section))) {
      section.hidden = words.length > 0 && all("[data-item]", section).every((row) => row.hidden);
    }
    // Scroll to the first match, also on a phone.
    if (words.length && field.getBoundingClientRect().top > innerHeight / 3) field.closest("p").scrollIntoView();
    said.textContent = words.length || Object.values(chosen).some(Boolean) ? `${shown} of ${items.length}` : "";
  };

  const keep = () => {
    const address = new URL(location.href);
    const values = [["filter", field.value], ...choices.map((select) => [select.dataset.choose, select.value])];
    for (const [name, value] of values) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    history.replaceState(history.state, "", address);
  };

  const changed = () => {
    apply();
    keep();
  };
  const given = new URLSearchParams(location.search);
  // What was typed before this script ran, or what the browser restores after a reload, stays.
  field.value ||= given.get("filter") ?? "";
  for (const select of choices) {
    const value = given.get(select.dataset.choose);
    if ([...select.options].some((option) => option.value === value)) select.value = value;
    select.addEventListener("change", changed);
  }
  field.addEventListener("input", changed);
  if (field.value || choices.some((select) => select.value)) changed();
})();
