// What the pages are drawn with. Text goes into a page as text only, never as markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function code(text) {
  return element("code", {}, text);
}

export function table(heads, rows) {
  if (!rows.length) return null;
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

// Words with `code` in them.
export function words(text) {
  const parts = (text || "").split("`").map((part, place) => (place % 2 ? code(part) : part));
  return element("span", {}, ...parts);
}

export function schemaOf(ref, api) {
  return api.components.schemas[ref.split("/").pop()] || {};
}
