// What the page knows of the calls. Two sources say the same things in two forms: the API's answers
// when the page opens, and the stream from then on. A call takes whatever has the higher version,
// an agent's dispositions whatever the stream said last. Whatever can grow has a bound here, but for
// the calls that are open: a centre has so many.

import { Callbacks } from "/console/callbacks.js";

export const PHASES = ["ringing", "active", "wrap_up", "released"];

const RELEASED_KEPT = 30;
const DISPOSITIONS_KEPT = 40;
const FREE_KEPT = 500;

export class Floor {
  calls = new Map(); // by call id
  callbacks;
  dispositions = []; // newest first
  free = new Map(); // since when, by agent: those whose last part has ended
  #told = new Set(); // ids of the dispositions listed
  #released = new Map(); // when it was released and began, by call id

  // `now()`: the server's clock, in milliseconds.
  constructor(now = Date.now) {
    this.callbacks = new Callbacks(now);
  }

  // To read anew.
  forget() {
    this.callbacks.begin();
    this.calls.clear();
    this.free.clear();
    this.#released.clear();
  }

  // A call as GET /v1/calls shows it.
  read(call) {
    const known = this.#call(call.id);
    if (known.version < call.version) {
      Object.assign(known, {
        version: call.version,
        phase: call.phase,
        direction: call.direction ?? null,
        startedAt: call.started_at,
        releasedAt: call.released_at ?? null,
        agents: call.agents.map((agent) => part(agent, call.held, readSince(agent, call))),
      });
      this.#settle(known);
    }
    for (const agent of call.agents) {
      const said = this.#said(known, agent.agent_id);
      if (said.live) continue;
      said.queued = agent.queued?.code ?? null;
      said.queuedAt = agent.queued?.queued_at ?? null;
      said.code = agent.disposition?.code ?? null;
      said.missed = agent.missed ?? false;
    }
  }

  // An outcome as GET /v1/dispositions shows it.
  readDisposition(row) {
    this.#list(row);
  }

  // A CloudEvent of the stream.
  hear({ type, data }) {
    if (type === "call.changed") this.#changed(data);
    else if (type === "disposition.queued") {
      this.#say(data, { queued: data.code, queuedAt: data.decided_at });
    } else if (type === "disposition.saved" || type === "disposition.corrected") {
      this.#say(data, { queued: null, code: data.code });
      this.#list(data);
    } else if (type === "disposition.missed") {
      this.#say(data, { missed: true });
      this.#list({ ...data, code: null, origin: "missed" });
    } else if (type === "EventUserEvent" && data.origin === "late") {
      this.#say(data, { code: data.code });
      this.#list(data);
    } else if (type === "status.changed" && !data.call_id && data.code) {
      this.#list(data);
    }
    this.callbacks.hear(type, data);
  }

  #changed(data) {
    const call = this.#call(data.call_id);
    if (call.version >= data.version) return;
    const before = new Map(call.agents.map((agent) => [agent.id, agent]));
    call.version = data.version;
    call.phase = data.phase;
    call.direction = data.direction ?? null;
    call.startedAt = data.started_at ?? null;
    call.releasedAt = data.released_at ?? data.change.at;
    call.agents = (data.agents ?? []).map((agent) => {
      const known = before.get(agent.agent_id);
      const since = known?.phase === agent.phase ? known.since : data.change.at;
      return part(agent, data.held, since);
    });
    this.#settle(call, before);
  }

  #call(id) {
    if (!this.calls.has(id)) {
      const empty = { id, version: 0, phase: null, direction: null, agents: [], said: new Map() };
      this.calls.set(id, { ...empty, startedAt: null, releasedAt: null });
    }
    return this.calls.get(id);
  }

  #said(call, agentId) {
    if (!call.said.has(agentId)) {
      const nothing = { queued: null, queuedAt: null, code: null, missed: false, live: false };
      call.said.set(agentId, nothing);
    }
    return call.said.get(agentId);
  }

  #say(data, said) {
    const known = this.calls.get(data.call_id);
    if (known) Object.assign(this.#said(known, data.agent_id), said, { live: true });
  }

  #list(row) {
    const id = `${row.call_id ?? row.subject} ${row.agent_id} ${row.decided_at}`;
    if (this.#told.has(id)) return;
    this.#told.add(id);
    this.dispositions.push({
      key: id,
      code: row.code,
      agentId: row.agent_id ?? null,
      callId: row.call_id ?? null,
      subject: row.subject ?? null,
      origin: row.origin ?? "status", // of a customer, a record or an enrolment, set without a call
      decidedAt: row.decided_at,
      previous: row.previous?.code ?? null,
    });
    this.dispositions.sort((one, other) => (one.decidedAt < other.decidedAt ? 1 : -1));
    for (const old of this.dispositions.splice(DISPOSITIONS_KEPT)) this.#told.delete(old.key);
  }

  // Agents who have become free, and of the released calls the newest alone: by when it was, for
  // the API tells the newest first, and the stream the newest last.
  #settle(call, before = new Map()) {
    for (const agent of call.agents) {
      if (agent.phase !== "released" || before.get(agent.id)?.phase === "released") continue;
      if ((this.free.get(agent.id) ?? "") >= (agent.since ?? "")) continue;
      this.free.set(agent.id, agent.since);
      if (this.free.size > FREE_KEPT) this.free.delete(oldest(this.free));
    }
    this.#released.delete(call.id);
    if (call.phase !== "released") return;
    this.#released.set(call.id, `${call.releasedAt ?? ""} ${call.startedAt ?? ""}`);
    if (this.#released.size <= RELEASED_KEPT) return;
    const old = oldest(this.#released);
    this.#released.delete(old);
    this.calls.delete(old);
  }

  // The calls of a phase, newest first.
  inPhase(phase) {
    const calls = [...this.calls.values()].filter((call) => call.phase === phase);
    return calls.sort((one, other) => ((one.startedAt ?? "") < (other.startedAt ?? "") ? 1 : -1));
  }
}

// An agent's part; a hold of the whole call holds whoever talks.
function part(agent, callHeld, since) {
  return {
    id: agent.agent_id,
    phase: agent.phase,
    since: since ?? null,
    held: (agent.held ?? false) || ((callHeld ?? false) && agent.phase === "active"),
    overdue: agent.overdue ?? false,
    endsAt: agent.wrap_up_ends_at ?? null,
  };
}

// Since when an agent is in its phase, by what the API shows.
function readSince(agent, call) {
  if (agent.phase === "released") return agent.released_at ?? call.released_at;
  if (agent.phase === "wrap_up") return agent.left_at ?? call.disconnected_at;
  if (agent.phase === "active") return agent.joined_at ?? call.answered_at ?? call.started_at;
  return call.started_at;
}

// The key of the earliest instant.
function oldest(instants) {
  let [found] = instants;
  for (const one of instants) if ((one[1] ?? "") < (found[1] ?? "")) found = one;
  return found[0];
}
