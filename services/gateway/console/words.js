// What the service's short words mean, in sentences for people. Rules are those of the tables in
// the READMEs of callstate and worker; a test looks that none is missing.

export const PHASES = {
  ringing: "ringing",
  active: "on the call",
  wrap_up: "wrap-up",
  released: "released",
};

export const ORIGINS = {
  queue: "queued in the call",
  wrap_up: "in wrap-up",
  timeout: "by timeout",
  correction: "corrected",
  late: "after release",
  status: "set by a client",
  missed: "missed",
};

export const TYPES = {
  "call.started": "The call started",
  "call.answered": "Answered",
  "call.agent_joined": "An agent joined",
  "call.agent_left": "An agent left",
  "call.held": "Put on hold",
  "call.retrieved": "Taken off hold",
  "call.data_attached": "Data attached",
  "call.disconnected": "Disconnected",
  "call.wrap_up_extended": "Wrap-up extended",
  "call.released": "Wrap-up ended",
  "call.timer_due": "A deadline passed",
  "disposition.requested": "A disposition was asked for",
  "disposition.queued": "Queued",
  "disposition.saved": "Saved",
  "disposition.corrected": "Corrected",
  "disposition.missed": "Missed",
  "disposition.refused": "Refused",
  "callback.scheduled": "Callback scheduled",
  "callback.due": "Callback due",
  EventUserEvent: "Told to reporting",
  "status.requested": "A status was asked for",
  "status.changed": "The status changed",
  "subject.named": "Made known",
};

export const RULES = {
  // of calls
  started: "The first word of this call.",
  rings: "It rings at one more agent.",
  started_late: "Told late: only what was missing is filled in.",
  answered: "Somebody speaks.",
  joined: "The agent speaks.",
  already_active: "The agent was known to speak already.",
  answered_before: "The answer was told before the ring that it answered.",
  left: "The agent's part is over: wrap-up starts.",
  transferred: "The agent has passed the call on: wrap-up starts.",
  hung_up: "The agent has hung up: wrap-up starts.",
  came_back: "The agent is back: a new segment begins.",
  late: "Told late, of what is past.",
  late_agent: "Nobody had told that this agent spoke: the agent's wrap-up starts now.",
  reopened: "Told after release that this agent spoke: the call is open again for a wrap-up.",
  rang_out: "It had rung at this agent, who never answered.",
  disconnected: "The conversation is over: wrap-up starts for who spoke.",
  already_disconnected: "It was over already: nothing moves.",
  silence: "Nobody has spoken of the call for hours: it has ended unseen.",
  extended: "More time: the deadline moves.",
  extended_overdue: "More time, counted from now: the deadline had passed.",
  not_in_wrap_up: "There is no wrap-up to extend: nothing moves.",
  wrap_up_over: "The time for wrap-up is over.",
  overdue: "The time is over, and a disposition is mandatory: wrap-up runs on.",
  wrap_up_limit: "Wrap-up has lasted 24 hours: it ends.",
  released: "The wrap-up is over.",
  released_on_call: "The agent's part is ended, in mid call.",
  released_ringing: "It stops ringing at the agent.",
  released_unended: "The whole call is ended.",
  already_released: "It was released already: nothing moves.",
  held: "On hold.",
  retrieved: "Off hold.",
  data_attached: "The keys are set.",
  user_data_full: "It would be too much data: none is set.",
  too_many_agents: "The call has as many agents as it can: nothing moves.",
  // of dispositions
  admitted: "Taken in, to be decided.",
  queue_applied: "It was queued, and the agent has left: it is final.",
  queue_corrects: "It was queued, and takes the place of the one before.",
  overdue_ended: "There is a disposition now: the overdue wrap-up ends.",
  timeout_code: "Wrap-up ended without one: the tenant's timeout code is saved.",
  missed: "Wrap-up ended without a disposition.",
  unknown_call: "No call of this id is known.",
  agent_not_on_call: "The agent has no part in this call.",
  queued: "The agent is on the call: it waits until the agent leaves.",
  queue_replaced: "The agent is on the call: it takes the place of the one that waited.",
  saved: "The agent is in wrap-up: it is final.",
  corrected: "Still in wrap-up: it takes the place of the one before.",
  correction_refused: "It is disposed already, and corrections are not allowed.",
  late_refused: "The call is released, and late dispositions are not allowed.",
  idempotency_conflict: "The idempotency key was used before, with another body.",
  callback_due: "The time that was asked for is here.",
  // of customers, records and enrolments
  set: "It had no status before.",
  replaced: "It takes the place of the status before.",
  cleared: "The status is taken away.",
  nothing_to_clear: "There was no status to take away.",
  unknown_status: "Nobody has named it, and the request must not make it known.",
  unknown_clear: "Nobody has named it.",
  handled_status: "Agents are handling it now, and it is to be left alone meanwhile.",
  handled_clear: "Agents are handling it now, and it is to be left alone meanwhile.",
  first_status: "Named with its first status.",
  named: "It is known from now on.",
};

// Rules that say themselves why they refuse, and better than the problem's code does.
const SAY_WHY = ["correction_refused", "late_refused"];

// Where a rule of dispositions has the name of one of calls.
const OF_VERDICTS = {
  late: "The call is released: it goes to reporting.",
};

export const PROBLEMS = {
  unknown_call: "no such call",
  unknown_subject: "nobody has named it",
  agent_not_on_call: "the agent has no part in this call",
  already_disposed: "the agent has disposed this call already",
  subject_in_call: "agents are handling it now",
  idempotency_conflict: "the key was used before, with another body",
  invalid_disposition: "there is no such code",
  callback_required: "the code needs a callback time",
};

const DIALECTS = {
  native: "the native API",
  genesys: "Genesys",
  ozonetel: "Ozonetel",
  vcc_live: "VCC Live",
  carecycle: "CareCycle",
  zipteams: "Zipteams",
  call: "a call's disposition",
  admin: "the administration",
};

// A word of the table, or the word itself, made legible: what is newer than this page is shown.
export function say(table, word) {
  return table[word] ?? String(word ?? "").replaceAll("_", " ");
}

export function dialect(name) {
  return say(DIALECTS, name);
}

// What an entry of a history is, in a few words.
export function title(entry) {
  if (entry.type === "callback.due") return TYPES["callback.due"];
  if (entry.kind === "timer") return TYPES["call.timer_due"];
  return TYPES[entry.type] ?? entry.type;
}

// Why: the rule that decided, and of a refusal what was wrong, unless the rule has said so.
export function why(entry) {
  const words = (entry.kind === "verdict" && OF_VERDICTS[entry.rule]) || say(RULES, entry.rule);
  if (!entry.problem || RULES[entry.problem] === words || SAY_WHY.includes(entry.rule)) return words;
  return `${words} Refused: ${say(PROBLEMS, entry.problem)}.`;
}

// The particulars of an entry, as pairs of a name and a text.
export function particulars(entry) {
  const told = [];
  const add = (name, text) => text !== undefined && text !== null && told.push([name, text]);
  add("code", entry.code);
  add("under", entry.key);
  if (entry.origin) add("how", say(ORIGINS, entry.origin));
  if (entry.previous) add("before", entry.previous.code ?? "none");
  if (entry.dialect) add("by way of", dialect(entry.dialect));
  if (entry.user_data_keys?.length) add("keys", entry.user_data_keys.join(", "));
  if (entry.kind === "event" || entry.kind === "timer") add("call then", entry.phase && say(PHASES, entry.phase));
  return told;
}
