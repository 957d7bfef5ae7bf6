// The console of the admin port: asks for an admin's or the operator's key, and shows the page that
// the address names. There is no stream here: pages read again while somebody may be looking.

import { Api, Refused, Unauthorized } from "/console/api.js";
import { connection, enter } from "/console/entrance.js";
import { LetterPage } from "/console/letter_page.js";
import { LettersPage } from "/console/letters_page.js";
import { Pages } from "/console/pages.js";

// The address behind the "#", and the page that it means.
const PAGES = [
  [/^\/letters$/, "Dead letters", LettersPage],
  [/^\/letters\/([^/]+)\/(\d+)\/(\d+)$/, "Dead letter", LetterPage],
];

// One key, from its entry to its end.
class Office {
  #pages;
  #refuse = () => {};

  constructor(key) {
    this.#pages = new Pages(PAGES, new Api(key), (error) => this.#told(error));
  }

  run(signal) {
    connection("opening", "Connecting");
    const ended = new Promise((_, reject) => {
      this.#refuse = reject;
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    this.turn(false);
    return ended.finally(() => this.#pages.close());
  }

  turn(asked) {
    if (location.hash.length <= "#/".length) history.replaceState(null, "", "#/letters");
    this.#pages.turn(asked);
  }

  // How the last question went; null: well.
  #told(error) {
    if (error instanceof Unauthorized) this.#refuse(error);
    else if (error instanceof Refused) connection("lost", "Refused");
    else if (error) connection("lost", "Not answered, trying again");
    else connection("live", "Up to date");
  }
}

let office = null;

async function run(key, signal) {
  const own = new Office(key);
  office = own;
  try {
    await own.run(signal);
  } finally {
    if (office === own) office = null;
  }
}

enter(run, () => office?.turn(true));
