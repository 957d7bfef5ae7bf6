// The tenant's codes as a tree.

import { element, sayUnread } from "/console/dom.js";
import { Following } from "/console/following.js";
import { template } from "/console/templates.js";

export class CodesPage {
  root = template("codes-page");
  #api;
  #shown = "";
  #following;

  constructor(api) {
    this.#api = api;
    this.#following = new Following((signal) => this.#read(signal), (error) => sayUnread(this.root, error, "They"));
  }

  open(signal) {
    this.#following.start(signal);
  }

  again() {
    this.#following.soon();
  }

  draw() {}

  async #read(signal) {
    const { codes } = await this.#api.json("/v1/codes", { signal });
    const shows = JSON.stringify(codes);
    if (shows === this.#shown) return; // so that what somebody has closed stays so
    this.#shown = shows;
    this.root.querySelector(".tree").replaceChildren(tree(codes));
    this.root.querySelector(".empty").hidden = codes.length > 0;
  }
}

function tree(codes) {
  return element("ul", {}, ...codes.map((code) => element("li", {}, ...node(code))));
}

function node(code) {
  const words = [element("span", { class: "code" }, code.label ?? code.code)];
  if (code.label && code.label !== code.code) words.push(" ", element("code", {}, code.code));
  if (code.id !== undefined) words.push(" ", element("span", { class: "soft" }, `number ${code.id}`));
  if (code.needs_callback) words.push(" ", element("span", { class: "said", "data-said": "queued" }, "needs a callback time"));
  if (!code.children) return words;
  return [element("details", { open: "" }, element("summary", {}, ...words), tree(code.children))];
}
