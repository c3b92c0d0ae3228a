// The readout of a chart, bucket by bucket, by pointer, touch and keyboard, and its legend. Other views need chart.js.

import { element, number, svg } from "./dom.js";
import { DAY, day, minute, month, said, sum, together, year } from "./values.js";

const swatch = (colour) => svg("svg", { class: "chart", viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, svg("rect", { class: `columns ${colour}`, width: 10, height: 10, rx: 2 }));

const named = { [7 * DAY]: (time) => `Week of ${day(time)}`, [DAY]: day };

/** The label of a bucket. */
export const bucketName = ({ starts, seconds }, at) => (seconds ? (named[seconds] ?? minute)(starts[at]) : `${month(starts[at])} ${year(starts[at])}`);

/** A chart in a `box`, with a `legend` that hides curves; `changed` is called with the names of hidden curves. */
export class Chart {
  #at = null;

  constructor(box, legend, { title, unit, changed = () => {} }) {
    Object.assign(this, { box, legend, title, unit, changed });
    for (const [name, value] of Object.entries({ role: "slider", tabindex: 0, "aria-label": title, "aria-valuemin": 0 })) box.setAttribute(name, value);
    this.tip = element("div", { class: "tip", hidden: true });
    box.append(this.tip);
    box.addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["pointermove", "pointerdown"]) box.addEventListener(name, (event) => this.#point(event));
    box.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.read(null));
    box.addEventListener("blur", () => this.read(null));
  }

  /** Shows a model: `draw` makes the panels; without it, the present drawing is of this model. */
  show(model, { view, log = false, off = [], keys = [] } = {}, draw = null) {
    const negative = model.curves.some(({ values }) => values.some((value) => value < 0));
    const each = !keys.length && model.curves.length > 1 && (view === "each" || log || negative || !model.keysAddUp);
    const lines = log || keys.length > 0;
    this.model = model;
    this.curves = model.curves.map((curve, at) => ({ ...curve, colour: curve.rest ? "rest" : each ? "c1" : `c${at + 1}` })).filter(({ name }) => each || !off.includes(name));
    this.adds = !lines && !each && this.curves.length > 1;
    if (draw) {
      this.box.querySelector(".chart")?.remove();
      this.box.prepend(draw(model, each ? this.curves.map((curve) => [curve]) : [this.curves], { each, lines, log }));
    }
    const items = each || model.curves.length < 2 ? [] : model.curves.map((curve, at) => this.#item(curve, at, off));
    const focused = this.legend.getRootNode().activeElement?.dataset.name;
    this.legend.replaceChildren(...items);
    for (const { firstChild } of items) if (firstChild.dataset.name === focused) firstChild.focus();
    this.legend.hidden = !items.length;
    this.box.setAttribute("aria-valuemax", Math.max(0, model.starts.length - 1));
    this.read(null);
  }

  #item(curve, at, off) {
    const is = !off.includes(curve.name);
    const button = element("button", { type: "button", "aria-pressed": String(is), title: curve.name, "data-name": curve.name }, swatch(curve.rest ? "rest" : `c${at + 1}`), element("bdi", {}, curve.label), " ", element("span", { class: "amount" }, number(together(curve.values, this.model.additive))));
    button.addEventListener("click", () => this.changed(is ? [...off, curve.name] : off.filter((name) => name !== curve.name)));
    return element("li", {}, button);
  }

  /** Shows the values of a bucket, in a box and to screen readers; null hides it. */
  read(at) {
    this.#at = at;
    const { model, box, tip } = this;
    for (const rule of box.querySelectorAll(".rule")) rule.remove();
    tip.hidden = at === null;
    const count = model.starts.length;
    const now = at ?? count - 1;
    const name = count ? bucketName(model, now) : "nothing yet";
    const rows = (count ? this.curves : []).map(({ label, values, colour }) => [label || this.unit, values[now], colour]);
    if (this.adds) rows.unshift(["All", rows.some(([, value]) => value === null) ? null : sum(rows.map(([, value]) => value))]);
    for (const row of rows) row[1] = said(row[1], model.partial?.[now]);
    box.setAttribute("aria-valuenow", Math.max(0, now));
    box.setAttribute("aria-valuetext", count ? `${name}: ${rows.map(([label, words]) => `${label} ${words}`).join(", ")}` : name);
    if (at === null) return;
    const x = `${(((at + 0.5) * 100) / count).toFixed(2)}%`;
    for (const plane of box.querySelectorAll(".plane")) plane.append(svg("line", { class: "rule", x1: x, x2: x, y2: plane.getAttribute("height") }));
    // As in the stack, from the top down.
    if (this.adds) rows.reverse();
    const items = rows.map(([label, words, colour]) => element("li", { class: colour ? null : "sum" }, colour ? swatch(colour) : null, element("bdi", {}, label), element("span", {}, words)));
    tip.replaceChildren(element("strong", {}, name), element("ul", { "aria-hidden": "true" }, ...items));
    const plane = box.querySelector(".plane").getBoundingClientRect();
    const frame = box.getBoundingClientRect();
    const middle = plane.left - frame.left + ((at + 0.5) * plane.width) / count;
    const left = middle > frame.width / 2 ? middle - tip.offsetWidth - 12 : middle + 12;
    tip.style.left = `${Math.max(0, Math.min(left, frame.width - tip.offsetWidth))}px`;
  }

  #key(event) {
    const last = this.model.starts.length - 1;
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") this.read(null);
    if (step === undefined || last < 0) return;
    event.preventDefault();
    this.read(Math.max(0, Math.min(last, (this.#at ?? last + (step < 0)) + step)));
  }

  #point({ clientX, clientY }) {
    const count = this.model.starts.length;
    for (const plane of count ? this.box.querySelectorAll(".plane") : []) {
      const { left, width, top, bottom } = plane.getBoundingClientRect();
      const at = Math.floor(((clientX - left) / width) * count);
      if (at >= 0 && at < count && clientY >= top - 8 && clientY <= bottom + 28) {
        if (at !== this.#at) this.read(at);
        return;
      }
    }
  }
}
