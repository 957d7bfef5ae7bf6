// Shows the page that the address names behind its "#".

import { keepDated } from "/console/dom.js";
import { show } from "/console/entrance.js";

export class Pages {
  page = null;
  #table;
  #given;
  #leaving = new AbortController();

  // Of rows: the address, the words for it, and the page, which is made of what is given, of the
  // parts of the address and of its query. The first row is for addresses that name nothing.
  constructor(table, ...given) {
    this.#table = table;
    this.#given = given;
  }

  // `draw` is called once the page is there. Whoever has asked for it gets the focus there.
  turn(asked, draw = () => {}) {
    const [path, query = ""] = location.hash.slice(1).split("?");
    const [page, words] = this.#make(path, new URLSearchParams(query));
    this.close();
    this.#leaving = new AbortController();
    this.page = page;
    const root = document.getElementById("page");
    root.replaceChildren(page.root);
    document.title = `${words} – ${document.title.split(" – ").at(-1)}`;
    for (const link of document.querySelectorAll("#pages a")) {
      const here = link.hash === `#${path || "/"}`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    show("page");
    draw(page);
    keepDated(root, this.#leaving.signal);
    page.open?.(this.#leaving.signal);
    if (asked) {
      window.scrollTo(0, 0);
      root.focus({ preventScroll: true });
    }
  }

  // What the page does by itself ends.
  close() {
    this.#leaving.abort();
  }

  #make(path, query) {
    for (const [address, words, Page] of this.#table) {
      const found = address.exec(path);
      if (!found) continue;
      try {
        const parts = found.slice(1).map(decodeURIComponent);
        return [new Page(...this.#given, parts, query), [words, ...parts].join(" ")];
      } catch (error) {
        if (!(error instanceof URIError)) throw error;
      }
    }
    const [, words, Page] = this.#table[0];
    return [new Page(...this.#given, [], query), words];
  }
}
