// A heat map of the week: hours across, days down.

const site = new URLSearchParams(location.search).get("site") ?? "http://localhost:8080/";
const { Client } = await import(new URL("assets/statscache.js", site));
const client = new Client(site);

const { through } = await client.discover();
const { rows, gaps, start, complete_through: end, width } = await client.series("volume", "1h", through - 28 * 86400, through);

// For a mean over time, an hour without a row is zero; one in a gap, or that is not over, is left out.
const value = new Map(rows);
const values = [];
for (let time = start; time < end; time += width) {
  if (!gaps.some(([low, high]) => time >= low && time < high)) values.push({ time: time * 1000, value: value.get(time) ?? 0 });
}

await vegaEmbed(
  "#chart",
  {
    data: { values },
    mark: { type: "rect", tooltip: true },
    width: "container",
    autosize: { type: "fit", contains: "padding" },
    background: "transparent",
    height: 240,
    encoding: {
      x: { field: "time", timeUnit: "utchours", type: "ordinal", title: "Hour (UTC)" },
      y: { field: "time", timeUnit: "utcday", type: "ordinal", title: null },
      color: { field: "value", aggregate: "mean", type: "quantitative", title: "Messages" },
    },
  },
  { renderer: "svg", actions: false, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : undefined },
);
