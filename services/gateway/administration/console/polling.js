// Reads again every few seconds what no stream tells of, while somebody may be looking.

import { Following } from "/console/following.js";

const POLL_MS = 4000;
const ASKED_MS = 100; // between two reads, however often somebody asks

export class Polling {
  #following;

  // As of `Following`.
  constructor(read, told) {
    this.#following = new Following(read, told, ASKED_MS);
  }

  start(signal) {
    this.#following.start(signal);
    const look = () => document.visibilityState === "visible" && this.#following.soon(0);
    const timer = setInterval(look, POLL_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    document.addEventListener("visibilitychange", look, { signal });
  }

  // Of something else than before, or that may have changed.
  now() {
    this.#following.anew();
  }
}
