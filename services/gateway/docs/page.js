// Shows /openapi.json.
import { code, element, schemaOf, table } from "/docs/draw.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function resolve(schema, api) {
  if (!schema || !schema.$ref) return schema || {};
  return schemaOf(schema.$ref, api);
}

// An example value of a schema, so that a reader sees a body and not a grammar.
function sample(schema, api, depth = 0) {
  const found = resolve(schema, api);
  if (depth > 6) return "…";
  if (found.const !== undefined) return found.const;
  if (found.contentSchema) return sample(found.contentSchema, api, depth);
  if (found.enum) return found.enum.join(" | ");
  if (found.anyOf) return sample(found.anyOf.find((one) => one.type !== "null") || {}, api, depth);
  if (found.type === "object" || found.properties) {
    const fields = Object.entries(found.properties || {});
    return Object.fromEntries(fields.map(([key, value]) => [key, sample(value, api, depth + 1)]));
  }
  if (found.type === "array") return [sample(found.items, api, depth + 1)];
  return found.format || found.type || "any";
}

function bodies(content, api) {
  return Object.entries(content || {}).flatMap(([type, media]) => [
    element("p", {}, element("code", {}, type)),
    media.schema ? element("pre", {}, JSON.stringify(sample(media.schema, api), null, 2)) : null,
  ]).filter((part) => part !== null);
}

function operation(path, method, told, api) {
  const parameters = (told.parameters || []).map((one) => [
    code(one.name), one.in + (one.required ? ", required" : ""), one.description || "",
  ]);
  const responses = Object.entries(told.responses).flatMap(([status, one]) => [
    element("h4", {}, status + " · " + one.description),
    table(["header", "what"],
      Object.entries(one.headers || {}).map(([name, row]) => [code(name), row.description])),
    ...bodies(one.content, api),
  ]);
  const request = told.requestBody
    ? [element("h4", {}, "Request"), ...bodies(told.requestBody.content, api)] : [];
  return element("details", { id: told.operationId },
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()),
      code(path), " ", element("span", {}, told.summary || "")),
    element("div", {}, element("p", {}, told.description || ""),
      table(["name", "where", "what"], parameters), ...request, ...responses));
}

async function show() {
  const main = document.getElementById("operations");
  const answer = await fetch("/openapi.json");
  const api = await answer.json();
  document.getElementById("version").textContent = api.info.version;
  main.replaceChildren();
  for (const tag of api.tags) {
    document.getElementById("tags").append(element("a", { href: "#" + tag.name }, tag.name));
    main.append(element("h2", { id: tag.name }, tag.name));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        const told = methods[method];
        if (told && told.tags.includes(tag.name)) main.append(operation(path, method, told, api));
      }
    }
  }
}

show().catch((error) => {
  document.getElementById("operations").textContent = "The document can't be shown: " + error;
});
