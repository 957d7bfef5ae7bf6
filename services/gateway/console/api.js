// Asks the native API and follows its stream. The key travels in a header, which EventSource can't
// send, so the stream is read with fetch and parsed here (WHATWG HTML, section 9.2.6).

const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 5_000;
const SILENCE_MS = 40_000; // the server says something every 15 s
const OTHERWISE_LATER = [404, 408, 425, 429]; // of 4xx: the same question may be answered then

export class Unauthorized extends Error {}

// The question itself is wrong: asked again it is refused again. Says why, in the server's words.
export class Refused extends Error {}

export class Api {
  #key;
  // Server time minus this clock lies between these, in milliseconds: see #setClock.
  #leastMs = -Infinity;
  #mostMs = Infinity;

  constructor(key) {
    this.#key = key;
  }

  async ask(path, options = {}) {
    const headers = { Authorization: `Bearer ${this.#key}`, ...options.headers };
    const sentMs = Date.now();
    const response = await fetch(path, { ...options, headers, cache: "no-store" });
    this.#setClock(Date.parse(response.headers.get("Date") ?? ""), sentMs, Date.now());
    if (response.status === 401 || response.status === 403) {
      throw new Unauthorized(response.status === 401 ? "No such key." : "The key lacks the scope.");
    }
    if (!response.ok) {
      throw await failure(response, path);
    }
    return response;
  }

  async json(path, options) {
    return (await this.ask(path, options)).json();
  }

  // Null: it is not there.
  async find(path, options) {
    try {
      return await this.json(path, options);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  // The server's clock.
  now() {
    const known = Number.isFinite(this.#leastMs);
    return Date.now() + (known ? (this.#leastMs + this.#mostMs) / 2 : 0);
  }

  // The Date header has whole seconds. Each answer narrows the range in which the difference of the
  // clocks must lie, so that countdowns don't jump; one that contradicts it begins it anew.
  #setClock(dateMs, sentMs, receivedMs) {
    if (Number.isNaN(dateMs)) return;
    const least = dateMs - receivedMs;
    const most = dateMs + 1000 - sentMs;
    const [low, high] = [Math.max(least, this.#leastMs), Math.min(most, this.#mostMs)];
    [this.#leastMs, this.#mostMs] = low <= high ? [low, high] : [least, most];
  }

  // Follows until the signal aborts. `on` is told: open(resumed), event({type, data}), and
  // lost(waitMs, error) before each new attempt. Ends by Unauthorized when the key is refused.
  async follow(topics, on, signal) {
    let position = null;
    let waitMs = RETRY_FIRST_MS;
    while (!signal.aborted) {
      const attempt = new AbortController();
      const stop = () => attempt.abort();
      signal.addEventListener("abort", stop, { once: true });
      try {
        const headers = position === null ? {} : { "Last-Event-ID": position };
        const path = `/v1/stream?topics=${topics.join(",")}`;
        const response = await this.ask(path, { headers, signal: attempt.signal });
        await on.open(position !== null); // meanwhile the stream waits in the browser
        for await (const event of events(response.body, attempt)) {
          waitMs = RETRY_FIRST_MS;
          if (event.id !== null) position = event.id;
          if (event.data === null) continue;
          on.event(event);
        }
        throw new Error("the stream ended");
      } catch (error) {
        if (error instanceof Unauthorized || signal.aborted) throw error;
        if (error.status === 400) position = null; // of a log that is gone: begin anew
        on.lost(waitMs, error);
        await pause(waitMs * (0.75 + Math.random() / 2), signal);
        waitMs = Math.min(waitMs * 2, RETRY_LAST_MS);
      } finally {
        attempt.abort();
        signal.removeEventListener("abort", stop);
      }
    }
  }
}

async function failure(response, path) {
  const { status } = response;
  const refused = status >= 400 && status < 500 && !OTHERWISE_LATER.includes(status);
  const detail = refused ? await sentence(response) : "";
  const error = refused ? new Refused(detail || `${status} for ${path}`) : new Error(`${status} for ${path}`);
  error.status = status;
  return error;
}

// What a problem document says; nothing, if it is none.
async function sentence(response) {
  try {
    const { detail, title } = await response.json();
    return String(detail ?? title ?? "");
  } catch {
    return "";
  }
}

// The blocks of an event stream. An id may come without data: it moves the position alone.
async function* events(body, attempt) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let block = { type: "message", id: null, data: null };
  while (true) {
    const watchdog = setTimeout(() => attempt.abort(), SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(watchdog));
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (block.data !== null || block.id !== null) yield finished(block);
        block = { type: "message", id: null, data: null };
      } else {
        take(block, line);
      }
    }
  }
}

function take(block, line) {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "event") block.type = value;
  if (name === "id") block.id = value;
  if (name === "data") block.data = block.data === null ? value : `${block.data}\n${value}`;
}

function finished(block) {
  return { ...block, data: block.data === null ? null : JSON.parse(block.data) };
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
