// What people would rather look at than read: codes over the day, time to disposition, shares.

import { lasting, sayUnread } from "/console/dom.js";
import { Chart } from "/console/chart.js";
import { Following } from "/console/following.js";
import { template } from "/console/templates.js";
import * as words from "/console/words.js";

const HOUR_MS = 3_600_000;
const HOUR_MINUTES = 60;
const HOURS = 24;
const CODES_SHOWN = 7; // the others are one
const OTHERS = "others";
const SAMPLE_PAGES = 2; // of 200 released calls each
const EACH_MS = 5_000; // at most one look so often, however much is told

const BINS = [
  ["at once, or queued", 1_000],
  ["up to 10 s", 10_000],
  ["up to 30 s", 30_000],
  ["up to 1 min", 60_000],
  ["up to 2 min", 120_000],
  ["up to 5 min", 300_000],
  ["longer", Infinity],
];
const SHARES = ["queue", "wrap_up", "correction", "timeout", "late", "missed"];

export class ChartsPage {
  root = template("charts-page");
  #api;
  #codes;
  #times;
  #shares;
  #firstMs = null; // the hour that the charts begin with
  #following;

  constructor(api) {
    this.#api = api;
    const figure = (name) => this.root.querySelector(`[data-chart="${name}"]`);
    this.#codes = new Chart(figure("codes"), "Hour");
    this.#times = new Chart(figure("times"), "Time");
    this.#shares = new Chart(figure("shares"), "How");
    this.#following = new Following((signal) => this.#read(signal), (error) => sayUnread(this.root, error), EACH_MS);
  }

  open(signal) {
    this.#following.start(signal);
  }

  again() {
    this.#following.soon();
  }

  hear() {
    this.#following.soon();
  }

  // With each hour they are of another day, also if nothing is told.
  draw(nowMs) {
    if (this.#firstMs !== null && this.#firstMs !== firstHour(nowMs)) this.#following.soon();
  }

  async #read(signal) {
    const firstMs = firstHour(this.#api.now());
    this.#firstMs = firstMs;
    const from = encodeURIComponent(new Date(firstMs).toISOString());
    const path = `/v1/reports/dispositions?group_by=hour,code&from=${from}`;
    const report = await this.#api.json(path, { signal });
    const ways = `/v1/reports/outcomes?group_by=origin&from=${from}`;
    const outcomes = await this.#api.json(ways, { signal });
    const parts = await this.#sample(signal);
    if (signal.aborted) return;
    this.#codes.columns(byHour(report.rows, firstMs));
    this.#times.bars(timesOf(parts));
    this.#shares.bars(sharesOf(outcomes.rows));
  }

  // The agents' parts of the calls that were released last.
  async #sample(signal) {
    const parts = [];
    let cursor = "";
    for (let page = 0; page < SAMPLE_PAGES; page += 1) {
      const path = `/v1/calls?phase=released&limit=200${cursor}`;
      const { calls, next } = await this.#api.json(path, { signal });
      for (const call of calls) {
        for (const agent of call.agents) parts.push({ ...agent, ended_at: agent.left_at ?? call.disconnected_at });
      }
      if (!next) break;
      cursor = `&cursor=${encodeURIComponent(next)}`;
    }
    return parts;
  }
}

function firstHour(nowMs) {
  return (Math.floor(nowMs / HOUR_MS) - HOURS + 1) * HOUR_MS;
}

// Of the 24 hours from this one on, each of which begins with an hour of UTC.
export function byHour(rows, firstMs) {
  const totals = new Map();
  for (const { code, count } of rows) totals.set(code, (totals.get(code) ?? 0) + count);
  const codes = [...totals.keys()].sort((one, other) => totals.get(other) - totals.get(one) || (one < other ? -1 : 1));
  const series = codes.slice(0, codes.length > CODES_SHOWN + 1 ? CODES_SHOWN : CODES_SHOWN + 1);
  const place = new Map(codes.map((code, index) => [code, Math.min(index, series.length)]));
  if (codes.length > series.length) series.push(OTHERS);
  const labels = clockTimes(firstMs);
  const counts = labels.map(() => series.map(() => 0));
  for (const { hour, code, count } of rows) {
    const column = Math.round((Date.parse(`${hour}:00:00Z`) - firstMs) / HOUR_MS);
    if (counts[column]) counts[column][place.get(code)] += count;
  }
  const all = [...totals.values()].reduce((sum, count) => sum + count, 0);
  const most = codes.length > 0 ? `; most often ${codes[0]}: ${totals.get(codes[0]).toLocaleString()}` : "";
  return { labels, series, counts, says: `${all.toLocaleString()} dispositions in the last ${HOURS} hours${most}.` };
}

// When the hours begin by the clock of whoever looks: at 14:30, where the zone is half an hour off.
// When the clocks change two of them begin at the same time: these say by which offset.
function clockTimes(firstMs) {
  const begin = Array.from({ length: HOURS }, (_, hour) => new Date(firstMs + hour * HOUR_MS));
  const times = begin.map((at) => `${two(at.getHours())}:${two(at.getMinutes())}`);
  const alike = (time) => times.indexOf(time) !== times.lastIndexOf(time);
  return times.map((time, hour) => (alike(time) ? `${time} ${offset(begin[hour])}` : time));
}

function offset(at) {
  const ahead = -at.getTimezoneOffset();
  const minutes = Math.abs(ahead);
  const less = minutes % HOUR_MINUTES;
  return `UTC${ahead < 0 ? "-" : "+"}${Math.floor(minutes / HOUR_MINUTES)}${less > 0 ? `:${two(less)}` : ""}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

function timesOf(parts) {
  const took = [];
  for (const { disposition, ended_at } of parts) {
    if (!disposition || !ended_at || disposition.origin === "timeout") continue;
    const decidedAt = disposition.previous?.decided_at ?? disposition.decided_at;
    took.push(Math.max(0, Date.parse(decidedAt) - Date.parse(ended_at)));
  }
  took.sort((one, other) => one - other);
  const counts = BINS.map(() => [0]);
  for (const ms of took) counts[BINS.findIndex(([, most]) => ms <= most)][0] += 1;
  const at = (share) => lasting(took[Math.min(took.length - 1, Math.floor(took.length * share))]);
  const says = took.length > 0
    ? `Half of them within ${at(0.5)}, nine of ten within ${at(0.9)} of the end of the conversation.`
    : "No released call has been disposed yet.";
  return { labels: BINS.map(([label]) => label), series: ["dispositions"], counts, says };
}

// Of the calls' agents; a status that no call has given (origin "status") is nobody's.
function sharesOf(rows) {
  const counts = SHARES.map(() => [0]);
  let all = 0;
  for (const { origin, count } of rows) {
    const place = SHARES.indexOf(origin);
    if (place < 0) continue;
    counts[place][0] += count;
    all += count;
  }
  const [missed] = counts[SHARES.indexOf("missed")];
  const says = all > 0
    ? `${missed.toLocaleString()} of ${all.toLocaleString()} in the last ${HOURS} hours missed.`
    : `No call has owed a disposition in the last ${HOURS} hours.`;
  return { labels: SHARES.map((name) => words.ORIGINS[name]), series: ["calls' agents"], counts, says, shares: true };
}
