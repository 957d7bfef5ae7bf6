// Draws the floor. Cards and rows are kept and only changed where they differ, so that focus,
// selection and animations survive; data goes into the page as text, never as markup.

import { PHASES } from "/console/floor.js";

const CARDS_MAX = 40;
const PHASE_WORDS = { ringing: "ringing", active: "on the call", wrap_up: "wrap-up", released: "released" };
const ORIGIN_WORDS = {
  queue: "queued in the call",
  wrap_up: "in wrap-up",
  timeout: "by timeout",
  correction: "corrected",
  late: "after release",
  missed: "missed",
};

export class View {
  #columns = new Map();
  #cards = new Map();
  #rows = new Map();
  #table;

  constructor(root) {
    for (const phase of PHASES) {
      const column = root.querySelector(`[data-phase="${phase}"]`);
      this.#columns.set(phase, {
        count: column.querySelector("output"),
        list: column.querySelector("ol"),
      });
    }
    this.#table = root.querySelector("tbody");
  }

  draw(floor, nowMs) {
    const shown = new Set();
    for (const [phase, column] of this.#columns) {
      const calls = floor.inPhase(phase);
      setText(column.count, String(calls.length));
      const cards = calls.slice(0, CARDS_MAX).map((call) => this.#card(call));
      for (const card of cards) shown.add(card.dataset.call);
      place(column.list, cards);
    }
    for (const id of this.#cards.keys()) if (!shown.has(id)) this.#cards.delete(id);
    this.#drawRows(floor.dispositions);
    this.tick(nowMs);
  }

  // Countdowns; cheap enough for several times a second.
  tick(nowMs) {
    for (const timer of this.#columns.get("wrap_up").list.querySelectorAll("[data-ends]")) {
      drawTimer(timer, nowMs);
    }
    for (const timer of this.#columns.get("active").list.querySelectorAll("[data-ends]")) {
      drawTimer(timer, nowMs);
    }
  }

  #card(call) {
    let card = this.#cards.get(call.id);
    if (!card) {
      const since = element("time");
      const title = element("h3", {}, element("span", { class: "call-id" }, call.id), since);
      card = element("li", { "data-call": call.id }, title, element("ul"));
      this.#cards.set(call.id, card);
    }
    const since = card.querySelector("time");
    if (call.startedAt) {
      since.dateTime = call.startedAt;
      setText(since, clock(call.startedAt));
    }
    setText(card.querySelector(".call-id"), call.id);
    card.title = call.direction ?? "";
    const list = card.querySelector("ul");
    const parts = new Map([...list.children].map((one) => [one.dataset.agent, one]));
    const drawn = call.agents.map((agent) => drawPart(parts.get(agent.id), agent, call.said.get(agent.id)));
    place(list, drawn);
    return card;
  }

  #drawRows(dispositions) {
    const rows = dispositions.map((one) => {
      const known = this.#rows.get(one.id);
      if (known) return known;
      const row = drawRow(one);
      this.#rows.set(one.id, row);
      return row;
    });
    const shown = new Set(dispositions.map((one) => one.id));
    for (const id of this.#rows.keys()) if (!shown.has(id)) this.#rows.delete(id);
    place(this.#table, rows);
  }
}

function drawPart(known, agent, said) {
  const item = known ?? element("li", { "data-agent": agent.id },
    element("span", { class: "agent" }, agent.id),
    element("span", { class: "phase" }),
    element("span", { class: "said" }),
    element("span", { class: "timer", hidden: "" }, element("progress", { "aria-label": `wrap-up of ${agent.id}` }), element("span")),
  );
  item.dataset.phase = agent.phase;
  setText(item.querySelector(".phase"), agent.held ? "on hold" : PHASE_WORDS[agent.phase] ?? agent.phase);
  const badge = item.querySelector(".said");
  badge.dataset.said = said?.queued ? "queued" : said?.code ? "saved" : said?.missed ? "missed" : "";
  setText(badge, said?.queued ? `queued: ${said.queued}` : said?.code ?? (said?.missed ? "missed" : ""));
  const timer = item.querySelector(".timer");
  const runs = agent.phase === "wrap_up" && agent.endsAt !== null;
  timer.hidden = !runs;
  timer.dataset.overdue = agent.overdue ? "yes" : "";
  if (runs) {
    if (timer.dataset.ends !== agent.endsAt) {
      timer.dataset.ends = agent.endsAt;
      delete timer.dataset.began;
    }
  } else {
    delete timer.dataset.ends;
  }
  return item;
}

function drawTimer(timer, nowMs) {
  const [bar, text] = timer.children;
  const leftMs = Math.max(0, Date.parse(timer.dataset.ends) - nowMs);
  // The bar is full at what was left when the page first saw this deadline.
  if (timer.dataset.began === undefined) timer.dataset.began = String(Math.max(leftMs, 1));
  bar.max = Number(timer.dataset.began);
  bar.value = leftMs;
  const left = Math.ceil(leftMs / 1000);
  setText(text, timer.dataset.overdue || left === 0 ? "over" : left < 100 ? `${left} s` : `${Math.ceil(left / 60)} min`);
}

function drawRow(one) {
  const at = element("time", { datetime: one.decidedAt }, clock(one.decidedAt));
  const code = element("span", { class: "code" }, one.code ?? "none");
  return element("tr", { "data-origin": one.origin ?? "" },
    element("td", {}, at),
    element("td", {}, code),
    element("td", {}, one.agentId),
    element("td", { class: "call-id" }, one.callId),
    element("td", {}, ORIGIN_WORDS[one.origin] ?? one.origin ?? ""),
    element("td", {}, one.previous ?? ""),
  );
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes these the children, in this order, touching only what is not in its place.
function place(parent, children) {
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

function clock(instant) {
  return new Date(instant).toLocaleTimeString(undefined, { hour12: false });
}
