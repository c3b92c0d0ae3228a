// The fields that choose the compared keys: two lists of all keys, or one field for a second name.

import { element } from "./dom.js";

/** Shows the keys that an explorer compares, and adds all keys of its range to the lists. */
export async function compare(explorer, range, model) {
  const [first, second] = ["a", "b"].map((name) => explorer.root.querySelector(`[name="${name}"]`));
  const { keys } = explorer.state;
  if (!first) {
    if (second) second.value = keys[0] ?? "";
    return;
  }
  let names = [];
  if (range && explorer.offered !== range) {
    explorer.offered = range;
    ({ names } = await explorer.read(range, [], model));
  }
  [first, second].forEach((field, at) => {
    const chosen = explorer.state.keys[at] ?? "";
    const there = new Set([...field.options].map(({ value }) => value));
    field.append(...[...names, chosen].filter((value) => !there.has(value)).map((value) => element("option", { value }, value)));
    field.value = chosen;
  });
  second.disabled = !explorer.state.keys.length;
}
