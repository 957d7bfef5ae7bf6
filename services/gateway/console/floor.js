// What the page knows of the calls. Two sources say the same things in two forms: the API's answers
// when the page opens, and the stream from then on. A call takes whatever has the higher version,
// an agent's dispositions whatever the stream said last.

export const PHASES = ["ringing", "active", "wrap_up", "released"];

const RELEASED_KEPT = 30;
const DISPOSITIONS_KEPT = 40;

export class Floor {
  calls = new Map(); // by call id
  dispositions = []; // newest first
  #told = new Set(); // ids of the dispositions listed

  // A call as GET /v1/calls shows it.
  read(call) {
    const known = this.#call(call.id);
    if (known.version < call.version) {
      Object.assign(known, {
        version: call.version,
        phase: call.phase,
        direction: call.direction ?? null,
        startedAt: call.started_at,
        agents: call.agents.map((agent) => part(agent, call.held)),
      });
    }
    for (const agent of call.agents) {
      const said = this.#said(known, agent.agent_id);
      if (said.live) continue;
      said.queued = agent.queued?.code ?? null;
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
    else if (type === "disposition.queued") this.#say(data, { queued: data.code });
    else if (type === "disposition.saved" || type === "disposition.corrected") {
      this.#say(data, { queued: null, code: data.code });
      this.#list(data);
    } else if (type === "disposition.missed") {
      this.#say(data, { missed: true });
      this.#list({ ...data, code: null, origin: "missed" });
    } else if (type === "EventUserEvent" && data.origin === "late") {
      this.#say(data, { code: data.code });
      this.#list(data);
    }
  }

  #changed(data) {
    const call = this.#call(data.call_id);
    if (call.version >= data.version) return;
    call.version = data.version;
    call.phase = data.phase;
    call.direction = data.direction ?? null;
    call.startedAt = data.started_at ?? null;
    call.agents = (data.agents ?? []).map((agent) => part(agent, data.held));
    this.#forgetOld();
  }

  #call(id) {
    if (!this.calls.has(id)) {
      const empty = { id, version: 0, phase: null, direction: null, startedAt: null, agents: [] };
      this.calls.set(id, { ...empty, said: new Map() });
    }
    return this.calls.get(id);
  }

  #said(call, agentId) {
    if (!call.said.has(agentId)) {
      call.said.set(agentId, { queued: null, code: null, missed: false, live: false });
    }
    return call.said.get(agentId);
  }

  #say(data, said) {
    const known = this.calls.get(data.call_id);
    if (known) Object.assign(this.#said(known, data.agent_id), said, { live: true });
  }

  #list(row) {
    const id = `${row.call_id} ${row.agent_id} ${row.decided_at}`;
    if (this.#told.has(id)) return;
    this.#told.add(id);
    this.dispositions.push({
      id,
      code: row.code,
      agentId: row.agent_id,
      callId: row.call_id,
      origin: row.origin,
      decidedAt: row.decided_at,
      previous: row.previous?.code ?? null,
    });
    this.dispositions.sort((one, other) => (one.decidedAt < other.decidedAt ? 1 : -1));
    for (const old of this.dispositions.splice(DISPOSITIONS_KEPT)) this.#told.delete(old.id);
  }

  #forgetOld() {
    const released = this.inPhase("released");
    for (const call of released.slice(RELEASED_KEPT)) this.calls.delete(call.id);
  }

  // The calls of a phase, newest first.
  inPhase(phase) {
    const calls = [...this.calls.values()].filter((call) => call.phase === phase);
    return calls.sort((one, other) => ((one.startedAt ?? "") < (other.startedAt ?? "") ? 1 : -1));
  }
}

// An agent's part; a hold of the whole call holds whoever talks.
function part(agent, callHeld = false) {
  return {
    id: agent.agent_id,
    phase: agent.phase,
    held: (agent.held ?? false) || (callHeld && agent.phase === "active"),
    overdue: agent.overdue ?? false,
    endsAt: agent.wrap_up_ends_at ?? null,
  };
}
