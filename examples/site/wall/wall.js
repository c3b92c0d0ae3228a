// What happens just now. The text is the bus's, so it is set as text, and only web addresses become links.

import { Client, isLate } from "../../assets/statscache.js";
import { entityOf, pageOf } from "../../assets/names.js";

const client = new Client();

function entry(row, index) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = new Date(row.timestamp * 1000).toISOString();
  time.textContent = time.dateTime.slice(11, 16);
  const category = document.createElement("b");
  category.textContent = (row.category ?? "").slice(0, 40);
  const web = /^https?:\/\//.test(row.link ?? "") && URL.canParse(row.link);
  const text = document.createElement(web ? "a" : "bdi");
  if (web) Object.assign(text, { href: row.link, rel: "noopener noreferrer nofollow" });
  text.textContent = String(row.subtitle ?? row.topic).slice(0, 200);
  item.append(time, category, text);
  if (row.agent && entityOf(index, "agent")) {
    const agent = document.createElement("a");
    agent.href = pageOf(client, "person", row.agent);
    agent.textContent = row.agent.slice(0, 80);
    item.append(" ", agent);
  }
  return item;
}

client.watch(
  async (index) => {
    const { rows } = await client.latest("recent-activity");
    document.getElementById("wall").replaceChildren(...rows.map((row) => entry(row, index)));
    const through = index.through === null ? "nothing yet" : new Date(index.through * 1000).toISOString().slice(0, 16).replace("T", " ");
    document.getElementById("age").textContent = `Through ${through} UTC${isLate(index) ? ", overdue" : ""}. New entries appear by themselves.`;
  },
  { onerror: (error) => (document.getElementById("age").textContent = `Nothing new: ${error.message}.`) },
);
