// Shows /asyncapi.json: each topic, its messages, and of each message its fields and an example.
import { code, element, schemaOf, table, words } from "/docs/draw.js";

const NESTED_MAX = 4;

// A schema with all that it refers to and builds upon put together.
function whole(schema, api) {
  if (!schema) return {};
  if (schema.$ref) return whole(schemaOf(schema.$ref, api), api);
  const parts = (schema.allOf || []).map((part) => whole(part, api));
  if (!parts.length) return schema;
  const own = { ...schema, allOf: undefined };
  const all = [...parts, own];
  return {
    ...Object.assign({}, ...all),
    properties: Object.assign({}, ...all.map((part) => part.properties)),
    required: all.flatMap((part) => part.required || []),
  };
}

// What a value may be, in a few words.
function kind(schema, api) {
  const found = whole(schema, api);
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.enum) return found.enum.map((one) => JSON.stringify(one)).join(", ");
  if (found.anyOf) return found.anyOf.map((one) => kind(one, api)).join(" or ");
  if (found.type === "array") return "list of " + kind(found.items, api);
  return found.format || found.type || "anything";
}

function limits(found) {
  const { maxLength, minimum, maximum } = found;
  return [
    maxLength !== undefined ? "at most " + maxLength + " characters" : "",
    minimum !== undefined && maximum !== undefined ? minimum + " to " + maximum : "",
  ].filter(Boolean);
}

// One row a field; fields of what is inside follow it, by their path.
function rows(schema, api, path = "", depth = 0) {
  const found = whole(schema, api);
  const required = new Set(found.required || []);
  return Object.entries(found.properties || {}).flatMap(([name, field]) => {
    const inner = whole(field, api);
    const items = inner.type === "array" ? whole(inner.items, api) : inner;
    const said = [inner.description || items.description, ...limits(inner)].filter(Boolean);
    const here = path + name + (inner.type === "array" ? "[]" : "");
    const row = [code(here), kind(field, api), required.has(name) ? "always" : "", words(said.join("; "))];
    const deeper = items.properties && depth < NESTED_MAX ? rows(items, api, here + ".", depth + 1) : [];
    return [row, ...deeper];
  });
}

function shown(value) {
  return element("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));
}

function fields(title, schema, api) {
  const made = table(["field", "what", "there", "meaning"], rows(schema, api));
  return made === null ? [] : [element("h3", {}, title), made];
}

function message(channel, name, api) {
  const told = api.components.messages[name];
  const key = told.bindings ? whole(told.bindings.kafka.key, api) : null;
  const writers = told["x-written-by"].join(", ");
  const examples = (told.examples || []).flatMap((one) => [
    ...(one.headers ? [element("h3", {}, "Example: headers"), shown(one.headers)] : []),
    element("h3", {}, told.headers ? "Example: data" : "Example"), shown(one.payload),
  ]);
  return element("details", { id: channel + "/" + name },
    element("summary", {}, code(told.title), " ", words(told.summary)),
    element("div", {},
      element("p", {}, "Written by " + writers + ". ",
        key ? words("Key: " + key.description + ".") : ""),
      ...fields(told.headers ? "Data" : "Fields", told.payload, api), ...examples,
      ...fields("Headers", told.headers, api)));
}

// Paragraphs; one whose lines begin with dashes is a list.
function described(text) {
  return text.split("\n\n").map((part) => part.startsWith("- ")
    ? element("ul", {}, ...part.split("\n").map((line) => element("li", {}, words(line.slice(2)))))
    : element("p", {}, words(part)));
}

function topic(name, api) {
  const channel = api.channels[name];
  const { kafka } = channel.bindings;
  const address = channel.address === name ? "" : " On the broker: " + channel.address + ".";
  const said = kafka
    ? channel.description + address + " Partitions: " + kafka.partitions + "."
    : "At `" + channel.address + "`. " + channel.description;
  return element("section", { "aria-labelledby": name },
    element("h2", { id: name }, code(name)),
    ...described(said),
    ...Object.keys(channel.messages).map((one) => message(name, one, api)));
}

// The topics at a glance, each a link to its messages.
function overview(api) {
  const rows = Object.entries(api.channels).map(([name, channel]) => [
    element("a", { href: "#" + name }, name),
    channel["x-written-by"].join(", "), channel["x-read-by"].join(", "),
    channel["x-told"] ? "yes" : "",
  ]);
  return table(["topic", "written by", "read by", "told"], rows);
}

// Whatever a message says, its fields and its example too, is looked through.
function filter(asked) {
  const wanted = asked.trim().toLowerCase();
  let all = 0;
  for (const section of document.querySelectorAll("main section")) {
    let left = 0;
    for (const one of section.querySelectorAll("details")) {
      one.hidden = !one.textContent.toLowerCase().includes(wanted);
      left += one.hidden ? 0 : 1;
    }
    section.hidden = left === 0;
    all += left;
  }
  document.getElementById("found").textContent = all + " messages";
}

// A link to a message opens it.
function open() {
  const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (asked instanceof HTMLDetailsElement) asked.open = true;
  if (asked) asked.scrollIntoView();
}

async function show() {
  const answer = await fetch("/asyncapi.json");
  const api = await answer.json();
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("about").append(
    ...api.info.description.split("\n\n").map((text) => element("p", {}, words(text))));
  document.getElementById("topics").replaceChildren(overview(api));
  const main = document.getElementById("messages");
  main.replaceChildren(...Object.keys(api.channels).map((name) => topic(name, api)));
  main.removeAttribute("aria-busy");
  const asked = document.getElementById("filter");
  asked.addEventListener("input", () => filter(asked.value));
  filter(asked.value);
  addEventListener("hashchange", open);
  open();
}

show().catch((error) => {
  document.getElementById("messages").textContent = "The document can't be shown: " + error;
});
