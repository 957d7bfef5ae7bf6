// One call: how it stands, and all that happened to it, followed live.

import { element, pairs, Rows, sayUnread, setText, subjectLink, when } from "/console/dom.js";
import { Entries } from "/console/entries.js";
import { Following } from "/console/following.js";
import { template } from "/console/templates.js";
import { drawTimers, holdTimer, timer } from "/console/timers.js";
import * as words from "/console/words.js";

const TIMES = [
  ["started", "started_at"],
  ["answered", "answered_at"],
  ["disconnected", "disconnected_at"],
  ["released", "released_at"],
];
const FACTS = "direction from to did by cause campaign_id project_id".split(" ");

export class CallPage {
  root = template("call-page");
  #api;
  #id;
  #path;
  #entries;
  #agents;
  #following;

  constructor(api, _, [id]) {
    this.#api = api;
    this.#id = id;
    this.#path = `/v1/calls/${encodeURIComponent(id)}`;
    setText(this.root.querySelector("h2 .call-id"), id);
    this.#entries = new Entries(this.root.querySelector(".history"), id);
    this.#agents = new Rows(this.root.querySelector(".agents"), drawAgent);
    this.#following = new Following((signal) => this.#read(signal), (error) => sayUnread(this.root, error));
  }

  open(signal) {
    this.#following.start(signal);
  }

  again() {
    this.#following.soon();
  }

  hear({ data }) {
    if (data.call_id === this.#id) this.#following.soon();
  }

  draw(nowMs) {
    drawTimers(this.root, nowMs);
  }

  async #read(signal) {
    const [call, history] = await Promise.all([
      this.#api.find(this.#path, { signal }), // null: of one that nobody knows a request may be refused
      this.#api.find(`${this.#path}/history`, { signal }),
    ]);
    if (signal.aborted) return;
    this.root.querySelector(".unknown").hidden = call !== null;
    this.root.querySelector(".standing").hidden = call === null;
    if (call !== null) this.#drawCall(call);
    this.#entries.draw(history?.entries ?? []);
    this.draw(this.#api.now());
  }

  #drawCall(call) {
    const phase = this.root.querySelector("h2 .phase");
    phase.dataset.phase = call.phase;
    setText(phase, words.say(words.PHASES, call.phase) + (call.held ? ", on hold" : ""));
    const facts = TIMES.filter(([, name]) => call[name]).map(([word, name]) => [word, when(call[name])]);
    for (const name of FACTS) if (call[name]) facts.push([name.replace("_id", ""), call[name]]);
    for (const name of subjects(call)) facts.push([name.slice(0, name.indexOf(":")), subjectLink(name)]);
    for (const [name, value] of Object.entries(call.user_data)) {
      facts.push([name, typeof value === "string" ? value : JSON.stringify(value)]);
    }
    const list = pairs(facts);
    const shown = this.root.querySelector(".facts");
    if (shown.textContent !== list.textContent) shown.replaceChildren(list);
    this.#agents.draw(call.agents.map((agent) => ({ ...agent, key: agent.agent_id, call_held: call.held })));
  }
}

function subjects(call) {
  const names = [];
  if (call.customer_id) names.push(`customer:${call.customer_id}`);
  if (call.customer_id && call.campaign_id) names.push(`enrolment:${call.campaign_id}/${call.customer_id}`);
  if (call.record_id && call.project_id) names.push(`record:${call.project_id}/${call.record_id}`);
  return names;
}

function drawAgent(agent) {
  const held = agent.held || (agent.call_held && agent.phase === "active");
  const card = element("li", { "data-phase": agent.phase },
    element("h3", {}, element("span", { class: "agent" }, agent.agent_id),
      element("span", { class: "phase" }, held ? "on hold" : words.say(words.PHASES, agent.phase))));
  const ends = timer(`wrap-up of ${agent.agent_id}`);
  holdTimer(ends, agent.phase === "wrap_up" ? agent.wrap_up_ends_at ?? null : null, agent.overdue);
  card.append(ends);
  if (agent.overdue) card.append(element("p", { class: "bad" }, "Wrap-up has run over: a disposition is mandatory."));
  card.append(pairs(said(agent)));
  return card;
}

function said(agent) {
  const told = [];
  const add = (name, shown) => told.push([name, shown]);
  if (agent.joined_at) add("joined", when(agent.joined_at));
  if (agent.left_at) add("left", when(agent.left_at));
  if (agent.phase === "wrap_up" && agent.wrap_up_ends_at) add("until", when(agent.wrap_up_ends_at));
  if (agent.released_at) add("released", when(agent.released_at));
  if (agent.queued) add("queued", element("span", { class: "said", "data-said": "queued" }, agent.queued.code));
  const final = agent.disposition;
  if (final) {
    add("disposition", element("span", { class: "said", "data-said": "saved" }, final.code));
    add("how", words.say(words.ORIGINS, final.origin));
    if (final.previous) add("before", final.previous.code);
  }
  const one = final ?? agent.queued;
  if (one?.callback_at) add("call back", when(one.callback_at));
  if (one?.comment) add("comment", one.comment);
  if (agent.missed) add("disposition", element("span", { class: "said", "data-said": "missed" }, "missed"));
  return told;
}
