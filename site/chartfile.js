// A chart as a file: its numbers as CSV, or the drawing as SVG or PNG, complete without the page.

import { clean, element, svg } from "./dom.js";
import { middle } from "./labels.js";
import { date, day, minute } from "./values.js";

/** A cell that a spreadsheet would read as a formula gets a leading apostrophe. */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One row for each bucket; unknown values are empty. */
function csv({ chart: { curves, model }, unit }) {
  const heads = ["start", ...curves.map(({ name }) => name || unit)];
  const rows = model.starts.map((time, at) => [date(time).toISOString().replace(".000", ""), ...curves.map(({ values }) => values[at])]);
  return `${[heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** The style rules of charts, from the page or from a custom element. */
function style(root) {
  const sheet = [...(root.adoptedStyleSheets ?? []), ...document.styleSheets].find(({ href }) => (root.host ? href === null : /\/chart\.[^/]*css$/.test(href ?? "")));
  const rules = [...sheet.cssRules].map((rule) => rule.cssText).join("\n");
  return root.host ? `:root { color-scheme: light dark; color: light-dark(#1c2024, #e8eaed); } .ground { fill: light-dark(#fff, #1a1d21); } .heading { font-weight: 600; font-size: 16px; }\n${rules.replaceAll(":host", ":root")}` : rules;
}

function picture({ figure, chart: { curves, model }, title, unit }) {
  const panes = [...figure.querySelectorAll(".pane")];
  const several = panes.length > 1;
  const inner = several ? 84 : 220;
  const step = several ? inner + 56 : 0;
  const legend = several || curves.length < 2 ? [] : curves;
  const foot = 66 + (several ? step * Math.ceil(panes.length / 2) : inner + 34);
  const height = foot + 22 * Math.ceil(legend.length / 3) + (legend.length ? 10 : 0);
  const when = (time) => (model.seconds && model.seconds < 86400 ? minute(time) : day(time));
  const box = svg("svg", { xmlns: "http://www.w3.org/2000/svg", class: "chart alone", viewBox: `0 0 720 ${height}`, width: 720, height });
  box.append(
    svg("title", {}, title),
    svg("style", {}, style(figure.getRootNode())),
    svg("rect", { class: "ground", width: 720, height, rx: 6 }),
    svg("text", { class: "heading", x: 16, y: 28 }, clean(title, 60)),
    svg("text", { class: "quiet", x: 16, y: 47 }, `${clean(unit, 40)}, ${when(model.starts[0])} to ${when(model.end)}`),
  );
  panes.forEach((pane, at) => {
    const [x, y] = several ? [52 + 346 * (at % 2), 88 + step * Math.floor(at / 2)] : [52, 66];
    const plane = pane.querySelector(".plane").cloneNode(true);
    for (const rule of plane.querySelectorAll(".rule")) rule.remove();
    for (const [name, value] of Object.entries({ x, y, width: several ? 300 : 646, height: inner })) plane.setAttribute(name, value);
    if (several) box.append(svg("text", { x, y: y - 10 }, pane.querySelector("p").textContent));
    box.append(plane);
  });
  legend.forEach(({ label, colour }, at) => {
    const place = `translate(${16 + 234 * (at % 3)} ${foot + 8 + 22 * Math.floor(at / 3)})`;
    box.append(svg("g", { transform: place }, svg("rect", { class: `columns ${colour}`, y: -5, width: 10, height: 10, rx: 2 }), svg("text", { x: 16, dy: ".35em" }, middle(label))));
  });
  return [new XMLSerializer().serializeToString(box), height];
}

/** Twice as large as the SVG, for screens of double density. */
async function png(shown) {
  const [text, height] = picture(shown);
  const image = new Image(1440, height * 2);
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  image.src = url;
  await image.decode().finally(() => URL.revokeObjectURL(url));
  const canvas = element("canvas", { width: 1440, height: height * 2 });
  canvas.getContext("2d").drawImage(image, 0, 0, 1440, height * 2);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const WIDGETS = { "3h": ["1m", 1], "7d": ["1h", 7], "30d": ["1d", 30], "1y": ["1w", 364], all: ["1mo", 3660] };

/** The code of an element that shows the same chart on another page, with the same view, scale and keys. */
function embed({ base, plugin, name, range, key, isUnbounded, view, log, off, keys, wordsOf }) {
  const [resolution, days] = WIDGETS[range];
  const changed = view || log || off.length || keys.length;
  // A series with controls shows all keys, or the compared ones.
  const compared = key && !isUnbounded ? [name, ...keys] : keys;
  const of = key && (isUnbounded || !changed) ? JSON.stringify(key) : null;
  const shown = changed ? { controls: wordsOf({ range, view, log, off, keys: compared }) } : isUnbounded ? {} : { resolution, days };
  const { outerHTML } = element(`statscache-${isUnbounded ? "activity" : "series"}`, { plugin, key: of, ...shown });
  return `<script type="module" src="${base}assets/widgets.js"></script>\n${outerHTML}`;
}

const FILES = { csv: ["text/csv", csv], svg: ["image/svg+xml", (shown) => picture(shown)[0]], png: ["image/png", png] };

/** Saves the chart, or copies a link or an embed code; returns the message to show. */
export async function save(what, shown) {
  const { plugin, name, range } = shown;
  if (!FILES[what]) return navigator.clipboard.writeText(what === "link" ? location.href : embed(shown)).then(() => "Copied.", () => "The browser does not allow it.");
  const [type, make] = FILES[what];
  const url = URL.createObjectURL(new Blob([await make(shown)], { type }));
  const file = [plugin, name, range].filter(Boolean).join("-").replace(/[^\w.-]+/g, "_").slice(0, 120);
  element("a", { href: url, download: `${file}.${what}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  return "Saved.";
}
