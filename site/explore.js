// The choices of a reader: another range, view or scale, keys to compare, a download.

import { clean } from "./dom.js";
import { Chart } from "./readout.js";

/** A state as words of a URL; `range` is empty if it is the usual one. */
const wordsOf = ({ range, view, log: scale, off, keys: key }) => new URLSearchParams(Object.entries({ range, view, scale, off, key }).flatMap(([name, all]) => [all].flat().filter(Boolean).map((one) => [name, one])));

export class Explorer {
  #charts = new Map();
  #turn = 0;

  /** `read(range, keys, model)` returns a model. The state is in `words`, else in the URL, so that a link shows the same. */
  constructor(root, about, read, words) {
    Object.assign(this, { root, about, read, words });
    this.first = this.#input("range", "[checked]").value;
    // Two lists offer the same keys; the page has them once.
    const [a, b] = this.#fields();
    b?.append(...[...a.options].slice(1).map(({ text }) => new Option(text)));
    root.addEventListener("change", () => this.#changed());
    root.addEventListener("click", ({ target }) => target.dataset.save && this.#save(target.dataset.save));
    if (words === undefined) addEventListener("hashchange", () => this.follow());
  }

  #input(name, more = "") {
    return this.root.querySelector(`[name="${name}"]${more}`);
  }

  /** Takes over a figure in which `model` is drawn. */
  add(figure, model) {
    const [box, legend] = figure.querySelectorAll(".drawing, .legend");
    const title = `${this.about.title}, ${figure.querySelector("strong").textContent}`;
    const chart = new Chart(box, legend, { title, unit: this.about.unit, changed: (off) => this.#set({ off }) });
    this.#charts.set(figure.dataset.range, { figure, model, chart });
    return chart;
  }

  /** Shows the state in the URL. */
  follow() {
    const words = new URLSearchParams(this.words ?? location.hash.slice(1));
    const range = words.get("range");
    this.state = {
      range: this.#input("range", `[value="${CSS.escape(range)}"]`) ? range : this.first,
      view: words.get("view") === "each" && "each",
      log: words.get("scale") === "log" && "log",
      off: words.getAll("off"),
      keys: words.getAll("key").slice(0, 2),
    };
    return (this.shown = this.show());
  }

  #set(state) {
    this.state = { ...this.state, ...state };
    const words = wordsOf({ ...this.state, range: this.state.range !== this.first && this.state.range });
    if (this.words === undefined) history.replaceState(null, "", words.size ? `#${words}` : location.pathname + location.search);
    else this.words = words;
    return (this.shown = this.show());
  }

  #changed() {
    const fields = this.#fields();
    const keys = fields.length ? fields.map(({ value }) => value).filter(Boolean) : this.state.keys;
    const view = this.#input("view", ":checked:enabled");
    this.#set({ range: this.#input("range", ":checked").value, view: view ? view.value === "each" && "each" : this.state.view, log: this.#input("log").checked && "log", keys: [...new Set(keys)] });
  }

  async show() {
    const { range, view, log, off, keys } = this.state;
    const turn = (this.#turn += 1);
    this.#input("range", `[value="${range}"]`).checked = true;
    this.#input("log").checked = log;
    for (const one of this.root.querySelectorAll('[name="view"]')) {
      one.checked = one.value === (log || view ? "each" : "stack");
      one.disabled = log || keys.length > 0;
    }
    this.#fields().forEach((field, at) => {
      const key = keys[at] ?? "";
      // The publisher offers the keys that it drew; a link may name an older one.
      if (field.options && ![...field.options].some(({ value }) => value === key)) field.append(new Option(key));
      field.value = key;
      field.disabled = at > 0 && !keys.length;
    });
    const wanted = JSON.stringify([view, log, off, keys]);
    let entry = this.#charts.get(range);
    // The publisher's drawing is a stack, or panels, of all keys.
    if (entry && wanted === (entry.drawn ?? "[false,false,[],[]]")) {
      this.seen = range;
      return;
    }
    try {
      const { draw, figureOf } = await import("./chart.js");
      const found = keys.length || !entry?.model ? await this.read(range, keys, entry?.model) : entry.model;
      if (turn !== this.#turn) return;
      if (!entry) this.add(figureOf(this.root, range, found, this.about));
      entry = this.#charts.get(range);
      entry.figure.classList.toggle("other", off.length + keys.length > 0);
      entry.drawn = wanted;
      entry.chart.show(found, this.state, draw);
      this.seen = range;
      this.#say("");
    } catch (error) {
      if (turn !== this.#turn) return;
      // What was shown stays.
      if (!entry && this.seen) await this.#set({ range: this.seen });
      this.#say(`The numbers could not be read: ${clean(error.message)}`);
    }
  }

  /** The fields that choose the compared keys: two lists of all keys, or one field for a second name. */
  #fields() {
    return ["a", "b"].map((name) => this.#input(name)).filter(Boolean);
  }

  #say(words) {
    this.root.querySelector(".chart-tools [role=status]").textContent = words;
  }

  async #save(what) {
    const { save } = await import("./chartfile.js");
    await this.shown;
    const { figure, chart } = this.#charts.get(this.state.range) ?? {};
    if (!chart) return;
    this.#say(await save(what, { ...this.state, ...this.about, figure, chart, wordsOf }).catch(({ message }) => message));
  }
}
