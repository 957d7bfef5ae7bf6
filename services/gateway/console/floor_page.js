// The floor: calls by phase, and the last dispositions. Cards are kept and only changed where they
// differ, so that focus, selection and animations survive.

import { callLink, dayAndClock, element, place, Rows, setData, setText, subjectLink, when } from "/console/dom.js";
import { PHASES } from "/console/floor.js";
import { template } from "/console/templates.js";
import { drawTimers, holdTimer, timer } from "/console/timers.js";
import * as words from "/console/words.js";

const CARDS_MAX = 40;

export class FloorPage {
  root = template("floor-page");
  #floor;
  #columns = new Map();
  #cards = new Map();
  #rows;

  constructor(_, floor) {
    this.#floor = floor;
    for (const phase of PHASES) {
      const column = this.root.querySelector(`[data-phase="${phase}"]`);
      this.#columns.set(phase, {
        count: column.querySelector("output"),
        list: column.querySelector("ol"),
      });
    }
    this.#rows = new Rows(this.root.querySelector("tbody"), drawRow);
  }

  draw(nowMs, stale) {
    if (stale) this.#drawAll();
    drawTimers(this.root, nowMs);
  }

  #drawAll() {
    const shown = new Set();
    for (const [phase, column] of this.#columns) {
      const calls = this.#floor.inPhase(phase);
      setText(column.count, String(calls.length));
      const cards = calls.slice(0, CARDS_MAX).map((call) => this.#card(call));
      for (const card of cards) shown.add(card.dataset.call);
      place(column.list, cards);
    }
    for (const id of this.#cards.keys()) if (!shown.has(id)) this.#cards.delete(id);
    this.#rows.draw(this.#floor.dispositions);
  }

  #card(call) {
    let card = this.#cards.get(call.id);
    if (!card) {
      const title = element("h3", {}, callLink(call.id), element("time"));
      card = element("li", { "data-call": call.id }, title, element("ul"));
      this.#cards.set(call.id, card);
    }
    const since = card.querySelector("time");
    if (call.startedAt && since.dateTime !== call.startedAt) {
      since.dateTime = call.startedAt;
      setText(since, dayAndClock(call.startedAt));
    }
    card.title = call.direction ?? "";
    const list = card.querySelector("ul");
    const parts = new Map([...list.children].map((one) => [one.dataset.agent, one]));
    const drawn = call.agents.map((agent) => drawPart(parts.get(agent.id), agent, call.said.get(agent.id)));
    place(list, drawn);
    return card;
  }
}

function drawPart(known, agent, said) {
  const item = known ?? element("li", { "data-agent": agent.id },
    element("span", { class: "agent" }, agent.id),
    element("span", { class: "phase" }),
    element("span", { class: "said" }),
    timer(`wrap-up of ${agent.id}`),
  );
  setData(item, "phase", agent.phase);
  setText(item.querySelector(".phase"), agent.held ? "on hold" : words.say(words.PHASES, agent.phase));
  const badge = item.querySelector(".said");
  setData(badge, "said", said?.queued ? "queued" : said?.code ? "saved" : said?.missed ? "missed" : "");
  setText(badge, said?.queued ? `queued: ${said.queued}` : said?.code ?? (said?.missed ? "missed" : ""));
  holdTimer(item.querySelector(".timer"), agent.phase === "wrap_up" ? agent.endsAt : null, agent.overdue);
  return item;
}

function drawRow(one) {
  return element("tr", { "data-origin": one.origin ?? "" },
    element("td", {}, when(one.decidedAt)),
    element("td", {}, element("span", { class: "code" }, one.code ?? "none")),
    element("td", {}, one.agentId ?? ""),
    element("td", {}, one.callId ? callLink(one.callId) : one.subject ? subjectLink(one.subject) : ""),
    element("td", {}, words.say(words.ORIGINS, one.origin)),
    element("td", {}, one.previous ?? ""),
  );
}
