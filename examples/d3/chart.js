// A streamgraph of a week: the series gives rows of [timestamp, category, value], and d3 stacks them.

const site = new URLSearchParams(location.search).get("site") ?? "http://localhost:8080/";
const { Client } = await import(new URL("assets/statscache.js", site));
const client = new Client(site);

const { through } = await client.discover();
// The hour that is not over looks like a fall, so the chart ends before it.
const { rows, gaps, start, complete_through: end, width } = await client.series("volume-by-category", "1h", through - 7 * 86400, through);

const totals = d3.rollup(rows, (all) => d3.sum(all, (row) => row[2]), (row) => row[1]);
const keys = d3.sort([...totals.keys()], (key) => -totals.get(key)).slice(0, 8);
const values = d3.rollup(rows, ([row]) => row[2], (row) => row[0], (row) => row[1]);
const stack = d3.stack().keys(keys).value((time, key) => values.get(time)?.get(key) ?? 0).offset(d3.stackOffsetWiggle).order(d3.stackOrderInsideOut);
const layers = stack(d3.range(start, end, width));

const [across, down] = [960, 420];
const x = d3.scaleUtc([new Date(start * 1000), new Date(end * 1000)], [0, across]);
const y = d3.scaleLinear([d3.min(layers.flat(), (at) => at[0]), d3.max(layers.flat(), (at) => at[1])], [down - 30, 0]);
// A time in a gap is unknown, not zero: nothing is drawn there.
const known = (time) => !gaps.some(([low, high]) => time >= low && time < high);
const colour = d3.scaleOrdinal(keys, d3.schemeTableau10);
const area = d3.area((at) => x(at.data * 1000), (at) => y(at[0]), (at) => y(at[1])).defined((at) => known(at.data)).curve(d3.curveBasis);

const svg = d3.select("#chart").append("svg").attr("viewBox", [0, 0, across, down]).attr("role", "img").attr("aria-label", `Messages in 7 days, by category: ${keys.join(", ")}`);
// .text() never makes markup of text from the bus.
svg.selectAll("path").data(layers).join("path").attr("d", area).attr("fill", (layer) => colour(layer.key)).append("title").text((layer) => `${layer.key}: ${totals.get(layer.key)}`);
svg.append("g").attr("transform", `translate(0,${down - 25})`).call(d3.axisBottom(x).tickSizeOuter(0)).call((axis) => axis.selectAll(".tick:first-of-type text").attr("text-anchor", "start"));
// The height of a layer is its number; this is how much of it one sees.
const most = d3.max(layers[0], (_, at) => d3.sum(layers, (layer) => layer[at][1] - layer[at][0]));
d3.select("#chart").append("figcaption").text(`Messages in an hour, ${d3.format(",")(most)} at most`);

const legend = d3.select("#chart").append("ul");
legend.selectAll("li").data(keys).join("li").each(function name(key) {
  d3.select(this).append("svg").attr("width", 12).attr("height", 12).append("rect").attr("width", 12).attr("height", 12).attr("fill", colour(key));
  d3.select(this).append("span").text(` ${key}: ${d3.format(",")(totals.get(key))}`);
});
