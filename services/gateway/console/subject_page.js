// One customer, record or enrolment: its status, its calls, and its history, followed live.

import { callLink, element, pairs, sayUnread, setText, when } from "/console/dom.js";
import { Entries } from "/console/entries.js";
import { Following } from "/console/following.js";
import { template } from "/console/templates.js";
import * as words from "/console/words.js";

export class SubjectPage {
  root = template("subject-page");
  #api;
  #name;
  #path;
  #query;
  #entries;
  #following;

  constructor(api, _, [kind, id], query) {
    const within = query.get("within");
    this.#api = api;
    this.#name = within === null ? `${kind}:${id}` : `${kind}:${within}/${id}`;
    this.#path = `/v1/subjects/${kind}/${encodeURIComponent(id)}`;
    this.#query = within === null ? "" : `?within=${encodeURIComponent(within)}`;
    setText(this.root.querySelector("h2"), this.#name);
    this.#entries = new Entries(this.root.querySelector(".history"), this.#name);
    this.#following = new Following((signal) => this.#read(signal), (error) => sayUnread(this.root, error));
  }

  open(signal) {
    this.#following.start(signal);
  }

  again() {
    this.#following.soon();
  }

  hear({ data }) {
    if (data.subject === this.#name) this.#following.soon();
  }

  draw() {}

  async #read(signal) {
    const [subject, history] = await Promise.all([
      this.#api.find(this.#path + this.#query, { signal }),
      this.#api.find(`${this.#path}/history${this.#query}`, { signal }),
    ]);
    if (signal.aborted) return;
    this.root.querySelector(".unknown").hidden = subject !== null;
    if (subject !== null) this.#drawSubject(subject);
    this.#entries.draw(history?.entries ?? []);
  }

  #drawSubject(subject) {
    const facts = [["in a call", subject.in_call ? "now" : "no"]];
    const status = subject.status;
    if (status) {
      facts.push(["status", status.code ?? "none"], ["since", when(status.decided_at)]);
      if (status.call_id) facts.push(["by call", callLink(status.call_id)]);
      else facts.push(["by way of", words.dialect(status.dialect)]);
      if (status.callback_at) facts.push(["call back", when(status.callback_at)]);
      if (status.comment) facts.push(["comment", status.comment]);
    }
    for (const [name, value] of Object.entries(subject.data ?? {})) facts.push([name, value]);
    const calls = element("span", { class: "calls" });
    for (const id of subject.calls) calls.append(callLink(id), " ");
    if (subject.calls.length > 0) facts.push(["calls", calls]);
    const list = pairs(facts);
    const shown = this.root.querySelector(".facts");
    if (shown.textContent !== list.textContent) shown.replaceChildren(list);
  }
}
