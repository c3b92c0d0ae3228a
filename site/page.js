// Adds to a page that is complete without it: the age of the data, copy buttons, and the tab that the URL names.
// Content of files is set as text, never as markup.
(() => {
  "use strict";
  const root = new URL(document.currentScript.dataset.root, document.baseURI);
  const served = root.protocol === "http:" || root.protocol === "https:";
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  const span = (seconds) => {
    const units = [["year", 31_556_952], ["day", 86400], ["hour", 3600], ["minute", 60]];
    const [name, size] = units.find(([, size]) => seconds >= size) ?? ["second", 1];
    const count = Math.floor(seconds / size);
    return `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;
  };

  const clock = (seconds, isDay = false) => {
    const text = new Date(seconds * 1000).toISOString();
    const time = document.createElement("time");
    time.dateTime = text;
    time.textContent = isDay ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`;
    return time;
  };

  let index;

  const showFreshness = () => {
    const now = Date.now() / 1000;
    const { generated_at: made, expires_at: expires, snapshot, generation, through, slow_through: paged } = index;
    const age = now - through;
    // The same as isOld of statscache.js.
    const old = through !== null && age > Math.max(3 * index.interval, 3600);
    // An index expires three intervals after it was made: the next one is due after the first of them.
    const due = made + (expires - made) / 3;
    const late = now > expires;
    for (const list of all("[data-snapshot]")) {
      one("[data-newest]", list).textContent = through === null ? "none yet" : `${span(Math.max(0, age))} ago`;
      one("[data-age]", list).textContent = `${span(Math.max(0, now - made))} ago`;
      // A time that is over an hour away is not shown.
      one("[data-due]", list).parentElement.hidden = due - now > 3600;
      one("[data-due]", list).replaceChildren(now < due ? `in ${span(due - now)}` : clock(due));
      one("[data-id]", list).textContent = String(snapshot).slice(0, 12);
      one("[data-id]", list).title = `${snapshot}, generation ${generation}`;
      list.classList.add("known");
    }
    // Pages say whole hours, so that they do not change each minute.
    for (const shown of all("[data-through]")) if (paged > Date.parse(one("time", shown).dateTime) / 1000) shown.replaceChildren(clock(paged));
    // Documentation says it by script: with the times in its text, it would be published again each hour.
    for (const shown of all("[data-span]")) {
      const known = index.plugins.map(({ since }) => since).filter((since) => since !== null && since <= paged);
      const since = known.length ? ["Data since ", clock(Math.min(...known), true), ", through "] : ["Data through "];
      shown.replaceChildren(...(paged === null ? ["No data yet."] : [...since, clock(paged)]));
    }
    const warning = one("[data-overdue]");
    // Short, because it moves the content below.
    const words = old
      ? [`These data are old: the newest message is ${span(age)} old${late ? ", and an update is overdue" : ""}.`]
      : late ? ["This page is overdue: an update was due at ", clock(due), "."] : [];
    // A screen reader announces it once, not each minute.
    if (words.length && warning.dataset.says !== `${old} ${late}`) warning.replaceChildren(...words);
    warning.dataset.says = `${old} ${late}`;
    warning.hidden = !words.length;
  };

  const readIndex = async () => {
    try {
      const response = await fetch(new URL("v1/index.json", root), { cache: "no-cache" });
      if (response.ok) index = await response.json();
    } catch {
      // Offline, or opened from a file: the last known data still age.
    }
    if (!index) return;
    showFreshness();
    // For live.js on the status page, which may be loaded later.
    document.statscacheIndex = index;
    document.dispatchEvent(new Event("statscache-index"));
  };

  const copyButton = (what, text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${what}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text());
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return button;
  };

  const addCopyButtons = () => {
    for (const link of all("a[data-copy]")) {
      link.parentElement.append(" ", copyButton(`the address of ${link.textContent}`, () => link.href));
    }
    for (const code of all("code[data-copy]")) {
      code.after(" ", copyButton(code.textContent, () => code.textContent));
    }
    for (const code of all("code[data-example]")) {
      const figure = code.closest("figure");
      const what = figure ? `the ${one("figcaption", figure).textContent} example` : "the example";
      (figure ?? code.closest("div")).append(copyButton(what, () => code.textContent));
    }
  };

  const localizeExamples = () => {
    if (!served) return;
    // On loopback an operator previews a site.
    for (const code of all("code[data-example]").filter((code) => !code.closest("[data-local]"))) {
      code.textContent = code.textContent.replaceAll("http://localhost:8080/", root.href);
    }
  };

  // The target of the URL may be on a hidden tab.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    for (let tab = target?.closest(".tab"); tab; tab = tab.parentElement.closest(".tab")) {
      const at = all(":scope > .tab", tab.parentElement).indexOf(tab);
      const buttons = all(":scope > .switch input", tab.parentElement);
      if (buttons[at]) buttons[at].checked = true;
    }
    target?.scrollIntoView();
  };

  for (const button of all("[data-whole]")) button.addEventListener("click", async () => (await import("./whole.js")).save(button));
  localizeExamples();
  addCopyButtons();
  reveal();
  addEventListener("hashchange", reveal);
  const wide = all(".prose .scroll");
  if (wide.length) import("./rows.js").then(({ fit }) => wide.forEach((part) => fit(part)), () => {});
  // Modules, and what they fetch, need a server.
  if (!served) for (const part of all("[data-find], [data-scripted], [data-snapshot]")) part.hidden = true;
  if (served) {
    readIndex();
    setInterval(readIndex, 60_000);
  }
})();
