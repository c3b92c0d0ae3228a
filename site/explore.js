// What a reader may ask of a page's charts: another range, view or scale, two keys, a file. The address's fragment has the
// state, so that a link shows the same.

import { Client } from "./statscache.js";
import { clean, element } from "./dom.js";
import { Chart } from "./readout.js";

const client = new Client(new URL("..", import.meta.url).href);

class Explorer {
  #charts = new Map();
  #rows = new Map();
  #turn = 0;

  constructor(root) {
    this.root = root;
    this.about = { ...root.dataset, headline: JSON.parse(root.dataset.headline) };
    this.first = this.#input("range", "[checked]").value;
    for (const figure of root.querySelectorAll("[data-content]")) this.#adopt(figure);
    root.addEventListener("change", () => this.#changed());
    root.addEventListener("focusin", ({ target }) => target.localName === "select" && this.#names());
    root.addEventListener("click", ({ target }) => target.dataset.save && this.#save(target.dataset.save));
    addEventListener("hashchange", () => this.#follow());
    this.#follow();
  }

  #input(name, more = "") {
    return this.root.querySelector(`[name="${name}"]${more}`);
  }

  #adopt(figure) {
    const { start, seconds, curves, prefix, rest } = JSON.parse(figure.dataset.content);
    const labels = [...figure.querySelectorAll(".legend bdi, .pane bdi")].map((one) => one.textContent);
    const starts = curves[0][1].map((_, at) => start + at * seconds);
    const named = curves.map(([name, values], at) => ({ name, values, label: labels[at] ?? name.slice(prefix.length), rest: rest && at === curves.length - 1 }));
    const model = { ...this.about, starts, end: start + starts.length * seconds, seconds, curves: named };
    this.#add(figure, model).show(model);
  }

  #add(figure, model) {
    const [box, legend] = figure.querySelectorAll(".drawing, .legend");
    const title = `${this.about.title}, ${figure.querySelector("strong").textContent}`;
    const chart = new Chart(box, legend, { title, unit: this.about.unit, changed: (off) => this.#set({ off }) });
    this.#charts.set(figure.dataset.range, { figure, model, chart });
    return chart;
  }

  #follow() {
    const words = new URLSearchParams(location.hash.slice(1));
    const range = words.get("range") ?? "";
    this.state = {
      range: this.#input("range", `[value="${CSS.escape(range)}"]`) ? range : this.first,
      view: words.get("view") === "each" ? "each" : "stack",
      log: words.get("scale") === "log",
      off: words.getAll("off"),
      keys: words.getAll("key").slice(0, 2),
    };
    this.#show();
  }

  #set(state) {
    this.state = { ...this.state, ...state };
    const { range, view, log, off, keys } = this.state;
    const words = new URLSearchParams([
      ...(range === this.first ? [] : [["range", range]]),
      ...(view === "each" ? [["view", view]] : []),
      ...(log ? [["scale", "log"]] : []),
      ...off.map((name) => ["off", name]),
      ...keys.map((name) => ["key", name]),
    ]);
    history.replaceState(null, "", words.size ? `#${words}` : location.pathname + location.search);
    return this.#show();
  }

  #changed() {
    const keys = ["a", "b"].map((name) => this.#input(name)?.value).filter(Boolean);
    this.#set({ range: this.#input("range", ":checked").value, view: this.#input("view", ":checked:enabled")?.value ?? this.state.view, log: this.#input("log").checked, keys: [...new Set(keys)] });
  }

  async #show() {
    const { range, view, log, off, keys } = this.state;
    const turn = (this.#turn += 1);
    this.#input("range", `[value="${range}"]`).checked = true;
    this.#input("log").checked = log;
    for (const one of this.root.querySelectorAll('[name="view"]')) {
      one.checked = one.value === (log ? "each" : view);
      one.disabled = log || keys.length > 0;
    }
    const wanted = JSON.stringify([view, log, off, keys]);
    let entry = this.#charts.get(range);
    // What the publisher drew is a stack, or panels, of all keys.
    if (entry && wanted === (entry.drawn ?? '["stack",false,[],[]]')) return this.#keys();
    try {
      const { draw, figureOf } = await import("./chart.js");
      const found = range === "all" || keys.length ? await this.#read(range, keys) : entry.model;
      if (turn !== this.#turn) return;
      if (!entry) this.#add(figureOf(this.root, found, this.about.unit), found);
      entry = this.#charts.get(range);
      entry.figure.classList.toggle("other", off.length + keys.length > 0);
      entry.drawn = wanted;
      this.#keys();
      entry.chart.show(found, this.state, draw);
      this.#say("");
    } catch (error) {
      if (turn === this.#turn) this.#failed(error);
    }
  }

  /** Reads the published series of a range. */
  async #read(range, keys) {
    const { cutOf, modelOf, spanOf } = await import("./chart.js");
    const like = this.#charts.get(range === "all" ? "" : range)?.model;
    const { plugin, additive } = this.about;
    if (!this.#rows.has(range)) this.#rows.set(range, spanOf(client, plugin, additive, like));
    const span = await this.#rows.get(range).catch((error) => {
      this.#rows.delete(range);
      throw error;
    });
    return modelOf(span, cutOf(span, like, additive), { ...this.about, keys });
  }

  /** Offers all keys for comparison, once somebody wants to compare. */
  async #names() {
    const { range } = this.state;
    if (this.named === range) return;
    this.named = range;
    await this.#read(range, []).then(({ names }) => this.#keys(names), (error) => this.#failed(error));
  }

  #keys(names = []) {
    ["a", "b"].forEach((name, at) => {
      const select = this.#input(name);
      if (!select) return;
      const chosen = this.state.keys[at] ?? "";
      const there = new Set([...select.options].map(({ value }) => value));
      select.append(...[...names, chosen].filter((value) => !there.has(value)).map((value) => element("option", { value }, value)));
      select.value = chosen;
      select.disabled = at > 0 && !this.state.keys.length;
    });
  }

  #failed(error) {
    this.#say(`The numbers could not be read: ${clean(error.message)}`);
  }

  #say(words) {
    this.root.querySelector(".chart-tools [role=status]").textContent = words;
  }

  async #save(what) {
    const { save } = await import("./chartfile.js");
    const { figure, chart } = this.#charts.get(this.state.range);
    this.#say(await save(what, { ...this.state, ...this.about, figure, chart, base: client.base }));
  }
}

for (const root of document.querySelectorAll("[data-chart]")) new Explorer(root);
