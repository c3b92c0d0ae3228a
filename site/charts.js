// The charts of a page: the publisher's drawings, and the published series for all other ranges.

import { Client } from "./statscache.js";
import { Explorer } from "./explore.js";

const client = new Client(new URL("..", import.meta.url).href);

for (const root of document.querySelectorAll("[data-chart]")) {
  const about = { ...root.dataset, headline: JSON.parse(root.dataset.headline), base: client.base };
  const explorer = new Explorer(root, about, async (...asked) => (await import("./models.js")).published(client, about, ...asked));
  for (const figure of root.querySelectorAll("[data-content]")) {
    const { start, seconds, curves, prefix, rest } = JSON.parse(figure.dataset.content);
    const labels = [...figure.querySelectorAll(".legend bdi, .pane bdi")].map((one) => one.textContent);
    const starts = curves[0][1].map((_, at) => start + at * seconds);
    const named = curves.map(([name, values], at) => ({ name, values, label: labels[at] ?? name.slice(prefix.length), rest: rest && at === curves.length - 1 }));
    const model = { ...about, starts, end: start + starts.length * seconds, seconds, curves: named };
    explorer.add(figure, model).show(model);
  }
  explorer.follow();
}
