// Shows the person in the address (?user=ralph), or else the one with the most contributions.

import { Client } from "../../assets/statscache.js";
import { Names } from "../../assets/names.js";

const client = new Client();
const said = document.getElementById("said");

/** Shows a person; elements of plugins that did not count them are removed, so nothing is requested for those. */
function show({ name, plugins }) {
  document.querySelector("input").value = name;
  document.getElementById("name").textContent = name.slice(0, 80);
  document.title = `${name.slice(0, 80)}: profile`;
  for (const one of document.querySelectorAll("#profile [plugin]")) {
    if (plugins.includes(one.getAttribute("plugin"))) one.setAttribute("key", JSON.stringify([name]));
    else one.remove();
  }
  document.getElementById("profile").hidden = false;
}

async function first() {
  const index = await client.discover();
  const published = index.plugins.some(({ name, documents }) => name === "contributors" && documents.length);
  const [row] = published ? (await client.latest("contributors")).rows : [];
  return row?.user;
}

try {
  const asked = new URLSearchParams(location.search).get("user")?.trim();
  const wanted = asked || (await first());
  const names = new Names(client);
  // In upper or lower case.
  const found = wanted && (await names.find("person", wanted));
  if (found) {
    show(found);
  } else if (wanted) {
    const like = await names.like("person", wanted, 3);
    document.querySelector("input").value = wanted;
    said.textContent = `No contributions of ${wanted.slice(0, 80)} are known.${like.length ? ` Did you mean ${like.join(" or ")}?` : ""}`;
  } else {
    said.textContent = "No contributions are known yet.";
  }
} catch {
  said.textContent = "The site cannot be reached now. Try again later.";
}
