// Callbacks that are waited for, or whose time has come. What takes the place of the disposition or
// the status that asked for one takes the callback away, as in the worker's rules.

const KEPT = 300; // of those that are due, and of those to come
const SLACK = 50; // so that it is not cut at each one

export class Callbacks {
  #known = new Map(); // by whose it is
  #heard = null; // of whom the stream has told while the list is read: it knows better
  #now;

  // `now()`: the server's clock, in milliseconds.
  constructor(now = Date.now) {
    this.#now = now;
  }

  // To read the list anew, and that it was read.
  begin() {
    this.#known.clear();
    this.#heard = new Set();
  }

  end() {
    this.#heard = null;
  }

  // A row of GET /v1/callbacks.
  read(row) {
    if (!this.#heard?.has(keyOf(row))) this.#take(row);
  }

  hear(type, data) {
    const told = type === "callback.scheduled" || type === "callback.due";
    if (!told && !replaces(type, data)) return;
    this.#heard?.add(keyOf(data));
    if (told) this.#take(data);
    else this.#known.delete(keyOf(data));
  }

  #take(data) {
    this.#keep({
      key: keyOf(data),
      callId: data.call_id ?? null,
      agentId: data.agent_id ?? null,
      subject: data.subject ?? null,
      code: data.code ?? null,
      at: data.callback_at,
    });
  }

  // Those whose time has come, the newest first.
  due(nowMs) {
    return this.#sorted((one) => Date.parse(one.at) <= nowMs).reverse();
  }

  // Those that are to come, the next one first.
  scheduled(nowMs) {
    return this.#sorted((one) => Date.parse(one.at) > nowMs);
  }

  #sorted(which) {
    const found = [...this.#known.values()].filter(which);
    return found.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  }

  #keep(callback) {
    this.#known.set(callback.key, callback);
    if (this.#known.size <= 2 * KEPT + SLACK) return;
    // Of those that are due the newest stay, of the others the next; none goes for the other kind.
    const nowMs = this.#now();
    for (const kind of [this.due(nowMs), this.scheduled(nowMs)]) {
      for (const one of kind.slice(KEPT)) this.#known.delete(one.key);
    }
  }
}

function replaces(type, data) {
  if (type === "EventUserEvent") return data.origin === "late";
  return ["disposition.saved", "disposition.corrected", "status.changed"].includes(type);
}

// A status names the call that it comes from, and is its subject's all the same.
function keyOf(data) {
  return data.subject ?? `${data.call_id} ${data.agent_id}`;
}
