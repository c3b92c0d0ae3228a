// Shows the person that the address names (?user=ralph), else the one who contributed most.

import { Client } from "../../assets/statscache.js";

async function show(user) {
  document.querySelector("input").value = user;
  document.getElementById("name").textContent = user.slice(0, 80);
  document.title = `${user.slice(0, 80)}: profile`;
  for (const one of document.querySelectorAll("#profile [plugin]")) one.setAttribute("key", JSON.stringify([user]));
  document.getElementById("profile").hidden = false;
}

const wanted = new URLSearchParams(location.search).get("user");
if (wanted) {
  show(wanted);
} else {
  const index = await new Client().discover();
  const published = index.plugins.some(({ name, documents }) => name === "contributors" && documents.length);
  const [first] = published ? (await new Client().latest("contributors")).rows : [];
  if (first) show(first.user);
}
