// One dead letter whole, and its way back: asked for in a dialog, done once, and said.

import { Refused, Unauthorized } from "/console/api.js";
import { dayAndClock, element, pairs, sayUnread, setText, when } from "/console/dom.js";
import { Polling } from "/console/polling.js";
import { pretty } from "/console/pretty.js";
import { template } from "/console/templates.js";

const UNKNOWN = "It is not known whether it was put back. Try again: what comes twice now changes nothing.";

export class LetterPage {
  root = template("letter-page");
  #api;
  #told;
  #path;
  #polling;
  #letter = null;
  #shown = "";
  #dialog = this.root.querySelector("dialog");

  constructor(api, told, [topic, partition, offset]) {
    this.#api = api;
    this.#told = told;
    this.#path = `/v1/admin/dead-letters/${encodeURIComponent(topic)}/${partition}/${offset}`;
    this.#polling = new Polling((signal) => this.#read(signal), (error) => this.#say(error));
    setText(this.#one("h2 .call-id"), `${topic}/${partition}/${offset}`);
    this.#one(".back").addEventListener("click", () => this.#ask());
    this.#one(".no").addEventListener("click", () => this.#dialog.close());
    this.#one(".sure").addEventListener("change", () => this.#allow());
    this.#one(".yes").addEventListener("click", () => this.#putBack());
  }

  open(signal) {
    this.#polling.start(signal);
  }

  #one(which) {
    return this.root.querySelector(which);
  }

  async #read(signal) {
    this.#letter = await this.#api.find(this.#path, { signal });
    if (!signal.aborted) this.#draw();
  }

  #draw() {
    const shows = JSON.stringify(this.#letter);
    if (shows === this.#shown) return; // so that what somebody has selected stays so
    this.#shown = shows;
    this.#one(".unknown").hidden = this.#letter !== null;
    this.#one(".whole").hidden = this.#letter === null;
    if (this.#letter !== null) this.#drawLetter(this.#letter);
  }

  #drawLetter(letter) {
    this.#one(".why").replaceChildren(element("strong", {}, letter.reason), " ", letter.detail);
    const back = letter.put_back_at;
    const facts = [
      ["since", when(letter.at)],
      ["it was", letter.origin],
      ["key", letter.key],
      ["put back", back ? when(back) : "not yet"],
    ];
    if (letter.type) facts.splice(2, 0, ["type", letter.type]);
    this.#one(".facts").replaceChildren(pairs(facts));
    this.#one(".headers").replaceChildren(pairs(Object.entries(letter.headers)));
    const lines = letter.value === undefined ? null : pretty(letter.value);
    const kind = letter.value === undefined ? "no text; in base64" : lines === null ? "text" : "JSON, in lines";
    setText(this.#one(".kind"), kind);
    setText(this.#one(".value"), lines ?? letter.value ?? letter.value_base64);
    setText(this.#one(".back"), back ? "Put back again…" : "Put back…");
  }

  // What was put back before goes again only where somebody says so once more.
  #ask() {
    const { place, topic, put_back_at: back } = this.#letter;
    setText(this.#one("dialog .place"), place);
    setText(this.#one("dialog .topic"), topic);
    this.#one(".before").hidden = !back;
    if (back) this.#one(".since").replaceChildren(when(back));
    this.#one(".sure").checked = false;
    setText(this.#one(".result"), ""); // so that the next one is said, also if it is the same
    this.#allow();
    this.#dialog.showModal();
    this.#one(".no").focus();
  }

  #again() {
    return !this.#one(".before").hidden;
  }

  #allow() {
    this.#one(".yes").disabled = this.#again() && !this.#one(".sure").checked;
  }

  async #putBack() {
    const body = JSON.stringify({ again: this.#again() });
    this.#one(".yes").disabled = true;
    let said;
    try {
      const headers = { "Content-Type": "application/json" };
      const answer = await this.#api.ask(`${this.#path}/put-back`, { method: "POST", headers, body });
      const { topic, put_back_at: back } = await answer.json();
      said = `Put back to ${topic}, ${dayAndClock(back)}.`;
    } catch (error) {
      if (error instanceof Unauthorized) this.#told(error);
      said = wrong(error);
    }
    this.#dialog.close();
    setText(this.#one(".result"), said);
    this.#polling.now();
  }

  #say(error) {
    sayUnread(this.root, error);
    this.#told(error);
  }
}

function wrong(error) {
  if (error.status === 409) return "Somebody has put it back meanwhile: nothing was done now.";
  if (error.status === 404) return "There is no such letter any more: nothing was done.";
  if (error instanceof Refused) return `Nothing was done: ${error.message}.`;
  return UNKNOWN;
}
