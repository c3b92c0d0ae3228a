// A heat map of the week: hours across, days down. Vega-Lite reads the rows as they are.

const site = new URLSearchParams(location.search).get("site") ?? "http://localhost:8080/";
const { Client } = await import(new URL("assets/statscache.js", site));
const client = new Client(site);

const { through } = await client.discover();
const { rows } = await client.series("volume", "1h", through - 28 * 86400, through);

await vegaEmbed(
  "#chart",
  {
    data: { values: rows.map(([timestamp, value]) => ({ time: timestamp * 1000, value })) },
    mark: { type: "rect", tooltip: true },
    width: "container",
    height: 240,
    encoding: {
      x: { field: "time", timeUnit: "utchours", type: "ordinal", title: "Hour (UTC)" },
      y: { field: "time", timeUnit: "utcday", type: "ordinal", title: null },
      color: { field: "value", aggregate: "mean", type: "quantitative", title: "Messages" },
    },
  },
  { renderer: "svg", actions: false },
);
