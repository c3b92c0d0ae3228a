// Tables that may be too wide for their box: there a row becomes a card, where each cell says what it is. style.css
// draws cards in a box narrower than 40 of its em, so the size of its font is the width that the table needs.

const EM = 40;

function measure(scroll) {
  const table = scroll.querySelector("table");
  scroll.style.fontSize = "0";
  table.style.width = "0";
  const least = table.offsetWidth;
  table.style.width = "";
  scroll.style.fontSize = `${least / EM}px`;
}

// A table in a tab has no size before it is shown.
const watch = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (contentRect.width) {
      watch.unobserve(target);
      measure(target);
    }
  }
});

/** Makes cards of the rows of a table where they do not fit; the first cells are their names. Returns the box. */
export function fit(scroll, names = 1) {
  const table = scroll.querySelector("table");
  const heads = [...table.tHead.rows[0].cells];
  const words = heads.map(({ textContent: text }) => text.charAt(0).toUpperCase() + text.slice(1));
  for (const { cells } of table.tBodies[0].rows) {
    for (const cell of cells) {
      const at = cell.cellIndex;
      // A sentence says itself what it is.
      if (at < names || heads[at].classList.contains("words")) cell.classList.add("key");
      else cell.dataset.label = words[at];
      if (!cell.textContent.trim()) cell.replaceChildren();
      else if (at >= names) {
        const box = document.createElement("span");
        // Sentences may have several lines, names have one.
        if (cell.textContent.includes(" ")) box.className = "words";
        box.append(...cell.childNodes);
        cell.append(box);
      }
    }
  }
  watch.observe(scroll);
  return scroll;
}
