// The lines of a history: what came, what was asked and decided, by which rule, and why not.

import { callLink, element, pairs, Rows, setText, subjectLink, when } from "/console/dom.js";
import * as words from "/console/words.js";

const SHOWN_MAX = 500; // of very many the newest
const KINDS = { event: "Event", request: "Request", verdict: "Verdict", timer: "Timer" };

export class Entries {
  #about;
  #rows;
  #earlier;

  // `about`: the call or the subject whose history it is; what is about another one is linked.
  constructor(root, about) {
    this.#about = about;
    this.#earlier = root.querySelector(".earlier");
    this.#rows = new Rows(root.querySelector("ol"), ({ entry }) => this.#row(entry));
  }

  draw(entries) {
    const left = Math.max(0, entries.length - SHOWN_MAX);
    this.#earlier.hidden = left === 0;
    setText(this.#earlier, `${left} earlier ones are not shown.`);
    this.#rows.draw(keyed(entries.slice(left)));
  }

  #row(entry) {
    const refused = entry.type === "disposition.refused";
    const kind = refused ? "refused" : entry.type === "disposition.missed" ? "missed" : entry.kind;
    const row = element("li", { "data-kind": kind });
    const head = element("p", { class: "head" },
      when(entry.at),
      element("span", { class: "kind" }, KINDS[entry.kind] ?? entry.kind),
      element("strong", {}, words.title(entry)),
    );
    if (entry.agent_id) head.append(element("span", { class: "agent" }, entry.agent_id));
    row.append(head, element("p", { class: "why" }, words.why(entry), " ",
      element("code", { title: "the rule that decided" }, entry.rule)));
    const told = words.particulars(entry);
    if (entry.callback_at) told.push(["call back", when(entry.callback_at)]);
    if (entry.request_id) told.push(["request", element("code", {}, entry.request_id)]);
    if (entry.subject && entry.subject !== this.#about) told.push(["of", subjectLink(entry.subject)]);
    if (entry.call_id && entry.call_id !== this.#about) told.push(["of call", callLink(entry.call_id)]);
    if (told.length > 0) row.append(pairs(told));
    return row;
  }
}

// Entries have no id of their own; equal ones are told apart by their number.
function keyed(entries) {
  const seen = new Map();
  return entries.map((entry) => {
    const name = JSON.stringify(entry);
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return { key: `${times} ${name}`, entry };
  });
}
