// The dead letters that the key reaches, the newest first.

import { element, keepingFocus, Rows, sayUnread, when } from "/console/dom.js";
import { Polling } from "/console/polling.js";
import { template } from "/console/templates.js";

const PAGE = 50;
const PAGES_MAX = 10; // read again each time
const PUT_BACK = { waiting: "&put_back=false", back: "&put_back=true", all: "" };

export const letterAddress = (place) => `#/letters/${place}`;

export class LettersPage {
  root = template("letters-page");
  #api;
  #told;
  #polling;
  #rows = new Rows(this.root.querySelector("tbody"), row);
  #show = this.root.querySelector("[name='show']");
  #topic = this.root.querySelector("[name='topic']");
  #pages = 1;

  constructor(api, told, _, query) {
    this.#api = api;
    this.#told = told;
    this.#polling = new Polling((signal) => this.#read(signal), (error) => this.#say(error));
    for (const choice of [this.#show, this.#topic]) {
      const wanted = query.get(choice.name);
      if ([...choice.options].some(({ value }) => value === wanted)) choice.value = wanted;
      choice.addEventListener("change", () => this.#narrow());
    }
    this.root.querySelector(".further button").addEventListener("click", () => this.#further());
  }

  open(signal) {
    this.#polling.start(signal);
  }

  // The address keeps what was chosen, for a reload and for the way back.
  #narrow() {
    const query = new URLSearchParams({ show: this.#show.value, topic: this.#topic.value });
    history.replaceState(null, "", `#/letters?${query}`);
    this.#pages = 1;
    this.#polling.now();
  }

  #further() {
    this.#pages += 1;
    this.#polling.now();
  }

  #which() {
    const topic = this.#topic.value;
    return PUT_BACK[this.#show.value] + (topic && `&topic=${encodeURIComponent(topic)}`);
  }

  async #read(signal) {
    const which = this.#which();
    const found = [];
    let next = "";
    for (let page = 0; page < this.#pages && next !== undefined; page += 1) {
      const cursor = next && `&cursor=${encodeURIComponent(next)}`;
      const path = `/v1/admin/dead-letters?limit=${PAGE}${which}${cursor}`;
      const answer = await this.#api.json(path, { signal });
      found.push(...answer.letters);
      next = answer.next;
    }
    if (signal.aborted || which !== this.#which()) return; // another is asked for already
    keepingFocus(() => this.#draw(found, next !== undefined));
  }

  #draw(found, more) {
    const show = (which, shown) => (this.root.querySelector(which).hidden = !shown);
    this.#rows.draw(found.map((letter) => ({ key: letter.place, letter })));
    show(".scroll", found.length > 0);
    show(".empty", found.length === 0);
    show(".further", more && this.#pages < PAGES_MAX);
    show(".limit", more && this.#pages >= PAGES_MAX);
  }

  #say(error) {
    sayUnread(this.root, error, "They");
    this.#told(error);
  }
}

function row({ letter }) {
  const back = letter.put_back_at ? when(letter.put_back_at) : "waits";
  return element("tr", { "data-put-back": letter.put_back_at ? "yes" : "no" },
    element("td", {}, element("a", { class: "call-id", href: letterAddress(letter.place) }, letter.place)),
    element("td", {}, when(letter.at)),
    element("td", { class: "reason" }, element("strong", {}, letter.reason), " ", letter.detail),
    element("td", {}, letter.key),
    element("td", {}, letter.type ?? ""),
    element("td", {}, back),
  );
}
