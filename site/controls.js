// A chart with all its controls, made in the browser: of one key on its page, or of a statistic in a custom element.

import { element } from "./dom.js";
import { Explorer } from "./explore.js";

const LABELS = { "3h": "3 h", "7d": "7 d", "30d": "30 d", "1y": "1 y", all: "All" };
const FILES = [["csv", "CSV"], ["svg", "SVG"], ["png", "PNG"], ["embed", "Copy embed code"], ["link", "Copy link"]];

const choice = (name, value, text, checked) => element("label", {}, element("input", { type: "radio", name, value, checked, "data-name": value }), element("span", {}, text));
const group = (legend, ...choices) => element("fieldset", { class: "segments" }, element("legend", { class: "hidden" }, legend), ...choices);

/**
 * Draws a chart of several ranges, `first` of them, and returns its explorer when it is drawn. `hasViews` is true if there
 * is more than one curve; `beside` names a second key, such as `another person`. The state is in the URL unless `words` is given.
 */
export async function explorable(about, { ranges, read }, { first, hasViews = true, beside, words }) {
  const files = words === undefined ? FILES : FILES.filter(([name]) => name !== "link");
  const controls = element(
    "div",
    { class: "chart-controls" },
    group("Range", ...ranges.map((range) => choice("range", range, LABELS[range], range === first))),
    hasViews ? group("View", choice("view", "stack", "Stacked", true), choice("view", "each", "Separate")) : null,
    element("label", { class: "check" }, element("input", { type: "checkbox", name: "log", "data-name": "log" }), " Log scale"),
    beside ? element("label", { class: "compare" }, "Compare with ", element("input", { type: "text", name: "b", placeholder: beside, autocomplete: "off", autocapitalize: "off", spellcheck: "false" })) : null,
  );
  const buttons = files.map(([name, text]) => element("button", { type: "button", "data-save": name, "data-name": name }, text));
  const tools = element("div", { class: "chart-tools" }, element("span", {}, "Download what is shown:"), ...buttons, element("span", { role: "status" }));
  const root = element("div", { class: "charts" }, controls, tools);
  const explorer = new Explorer(root, about, read, words);
  await explorer.follow();
  return explorer;
}
