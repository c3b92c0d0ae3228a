// Elements and text. Content of files is set as text, never as markup.

const LONGEST = 160;
const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text from a file on one line, clipped, and isolated so that right-to-left marks end with it. */
export function foreign(value, longest = LONGEST) {
  return element("bdi", {}, clean(value, longest));
}

export function clean(value, longest = LONGEST) {
  const text = String(value).slice(0, 4 * longest).replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, " ").trim();
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

export const number = (value) => value.toLocaleString("en").replace("-", "\u2212");
