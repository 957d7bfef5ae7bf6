// A page of one thing reads it whole, and again soon after each event that is about it: what it
// shows is the API's answer, never put together from events. At most one read is under way. What is
// refused is not asked again, until somebody asks for something else.

import { Refused } from "/console/api.js";

const SOON_MS = 150; // what an event is about is in the history by then
const EACH_MS = 500; // between two reads, however much is told
const FAILED_MS = 3000;

export class Following {
  #read;
  #failed;
  #eachMs;
  #signal = null;
  #timer = null;
  #readAtMs = 0;
  #reading = false;
  #wanted = false;
  #refused = false;
  #another = false; // question than the one that is under way

  // `read(signal)` draws; `failed(error | null)` is told how it went.
  constructor(read, failed, eachMs = EACH_MS) {
    this.#read = read;
    this.#failed = failed;
    this.#eachMs = eachMs;
  }

  start(signal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
    this.#now();
  }

  // Another question than before.
  anew() {
    this.#refused = false;
    this.#another = true;
    this.soon(0);
  }

  soon(waitMs = SOON_MS) {
    if (this.#signal === null || this.#signal.aborted || this.#refused) return;
    this.#wanted = true;
    if (this.#timer !== null || this.#reading) return;
    const dueMs = Math.max(waitMs, this.#readAtMs + this.#eachMs - performance.now());
    this.#timer = setTimeout(() => this.#now(), dueMs);
  }

  async #now() {
    this.#timer = null;
    this.#wanted = false;
    this.#another = false;
    this.#reading = true;
    let failed = null;
    try {
      await this.#read(this.#signal);
    } catch (error) {
      failed = error;
    }
    this.#reading = false;
    this.#readAtMs = performance.now();
    if (this.#signal.aborted) return;
    this.#refused = failed instanceof Refused && !this.#another;
    this.#failed(failed);
    if (failed && !(failed instanceof Refused)) this.soon(FAILED_MS);
    else if (this.#wanted) this.soon();
  }
}
