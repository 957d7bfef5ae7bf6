// The wall board: how many calls, who is in which phase for how long, what waits, what runs over.

import { callLink, element, lasting, Rows, setData, setText, subjectLink, when } from "/console/dom.js";
import { PHASES } from "/console/floor.js";
import { template } from "/console/templates.js";
import { drawTimers, holdTimer, timer } from "/console/timers.js";
import * as words from "/console/words.js";

const ROWS_MAX = 100;
const CALLBACKS_MAX = 20; // of each kind
const NEAR_MS = 10_000; // a wrap-up so close to its deadline is listed
const EACH_MS = 1000; // without news: what only time changes
const URGENT = ["overdue", "wrap_up", "active", "ringing", "free"];

export class BoardPage {
  root = template("board-page");
  #floor;
  #drawnMs = 0;
  #lists = {};

  constructor(_, floor) {
    this.#floor = floor;
    for (const [name, make] of Object.entries({ agents, over, queued, due, scheduled })) {
      const section = this.root.querySelector(`[data-list="${name}"]`);
      const rows = new Rows(section.querySelector("tbody"), make);
      this.#lists[name] = { rows, section, more: section.querySelector(".more") };
    }
  }

  draw(nowMs, stale) {
    const elapsed = Math.abs(nowMs - this.#drawnMs);
    if (stale || elapsed >= EACH_MS) {
      this.#drawnMs = nowMs;
      this.#drawAll(nowMs);
    }
    for (const one of this.root.querySelectorAll("[data-since]")) {
      setText(one, lasting(nowMs - Date.parse(one.dataset.since)));
    }
    drawTimers(this.root, nowMs);
  }

  #drawAll(nowMs) {
    const known = look(this.#floor, nowMs);
    const dueCallbacks = this.#floor.callbacks.due(nowMs);
    for (const phase of PHASES.slice(0, 3)) this.#count(phase, known.calls[phase]);
    this.#count("queued", known.queued.length);
    this.#count("over", known.over.length);
    this.#count("due", dueCallbacks.length);
    this.#list("agents", known.agents, ROWS_MAX);
    this.#list("over", known.over, ROWS_MAX);
    this.#list("queued", known.queued, ROWS_MAX);
    this.#list("due", dueCallbacks, CALLBACKS_MAX);
    this.#list("scheduled", this.#floor.callbacks.scheduled(nowMs), CALLBACKS_MAX);
  }

  #count(name, number) {
    const tile = this.root.querySelector(`[data-count="${name}"]`);
    setText(tile.querySelector("output"), number.toLocaleString());
    setData(tile, "some", number > 0 ? "yes" : "");
  }

  #list(name, items, most) {
    const { rows, section, more } = this.#lists[name];
    rows.draw(items.slice(0, most));
    setData(section, "some", items.length > 0 ? "yes" : "");
    setText(more, items.length > most ? `and ${(items.length - most).toLocaleString()} more` : "");
  }
}

// One look through the open calls.
function look(floor, nowMs) {
  const found = { calls: { ringing: 0, active: 0, wrap_up: 0 }, agents: [], over: [], queued: [] };
  const busy = new Set();
  for (const call of floor.calls.values()) {
    if (!(call.phase in found.calls)) continue;
    found.calls[call.phase] += 1;
    for (const agent of call.agents) {
      const said = call.said.get(agent.id);
      const one = { key: `${call.id} ${agent.id}`, callId: call.id, id: agent.id, since: agent.since };
      if (said?.queued) found.queued.push({ ...one, code: said.queued, since: said.queuedAt });
      if (agent.phase === "released") continue;
      busy.add(agent.id);
      const phase = agent.overdue ? "overdue" : agent.phase;
      found.agents.push({ ...one, phase, held: agent.held, code: said?.code ?? null });
      if (runsOver(agent, nowMs)) {
        found.over.push({ ...one, endsAt: agent.endsAt, overdue: agent.overdue, code: said?.code ?? null });
      }
    }
  }
  for (const [id, since] of floor.free) {
    if (!busy.has(id)) found.agents.push({ key: id, id, since, phase: "free", held: false, code: null });
  }
  found.agents.sort((one, other) => rank(one) - rank(other) || longest(one, other));
  found.over.sort((one, other) => ((one.endsAt ?? "") < (other.endsAt ?? "") ? -1 : 1));
  found.queued.sort(longest);
  return found;
}

function runsOver(agent, nowMs) {
  if (agent.phase !== "wrap_up") return false;
  return agent.overdue || (agent.endsAt !== null && Date.parse(agent.endsAt) - nowMs <= NEAR_MS);
}

function rank(one) {
  return URGENT.indexOf(one.phase);
}

function longest(one, other) {
  return (one.since ?? "") < (other.since ?? "") ? -1 : (one.since ?? "") > (other.since ?? "") ? 1 : one.key < other.key ? -1 : 1;
}

function row(phase, ...cells) {
  return element("tr", phase ? { "data-phase": phase } : {}, ...cells.map((cell) => element("td", {}, cell ?? "")));
}

function since(instant) {
  return instant ? element("span", { class: "since", "data-since": instant }) : "";
}

function agents(one) {
  const phase = one.phase === "overdue" ? "wrap-up, overdue" : one.held ? "on hold" : words.say(words.PHASES, one.phase);
  return row(one.phase,
    element("span", { class: "agent" }, one.id),
    element("span", { class: "phase" }, phase),
    since(one.since),
    one.callId ? callLink(one.callId) : "",
    one.code ? element("span", { class: "said", "data-said": "saved" }, one.code) : "",
  );
}

function over(one) {
  const ends = timer(`wrap-up of ${one.id}`);
  holdTimer(ends, one.endsAt, one.overdue);
  return row("wrap_up",
    element("span", { class: "agent" }, one.id),
    ends,
    callLink(one.callId),
    one.code ?? element("span", { class: "bad" }, "not disposed"),
  );
}

function queued(one) {
  return row("active",
    element("span", { class: "agent" }, one.id),
    element("span", { class: "said", "data-said": "queued" }, one.code),
    since(one.since),
    callLink(one.callId),
  );
}

function callback(one) {
  return row(null,
    when(one.at),
    one.code,
    one.agentId,
    one.callId && !one.subject ? callLink(one.callId) : subjectLink(one.subject),
  );
}

const due = callback;
const scheduled = callback;
