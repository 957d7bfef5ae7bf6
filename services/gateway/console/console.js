// The console: asks for a key, follows what happens, and shows the page that the address names.

import { Api } from "/console/api.js";
import { BoardPage } from "/console/board_page.js";
import { CallPage } from "/console/call_page.js";
import { ChartsPage } from "/console/charts_page.js";
import { CodesPage } from "/console/codes_page.js";
import { keepingFocus } from "/console/dom.js";
import { ElsewherePage } from "/console/elsewhere_page.js";
import { connection, enter } from "/console/entrance.js";
import { Floor } from "/console/floor.js";
import { FloorPage } from "/console/floor_page.js";
import { Pages } from "/console/pages.js";
import { SubjectPage } from "/console/subject_page.js";

const TOPICS = ["calls.changed", "disposition.events", "user.events"];
const RELEASED_READ = 30;
const PAGE_SIZE = 200;
const PAGES_MAX = 25;
const TICK_MS = 250;

// The address behind the "#", and the page that it means.
const PAGES = [
  [/^\/?$/, "Floor", FloorPage],
  [/^\/board$/, "Wall board", BoardPage],
  [/^\/charts$/, "Charts", ChartsPage],
  [/^\/codes$/, "Codes", CodesPage],
  [/^\/letters$/, "Dead letters", ElsewherePage],
  [/^\/calls\/([^/]+)$/, "Call", CallPage],
  [/^\/subjects\/(customer|record|enrolment)\/([^/]+)$/, "History", SubjectPage],
];

const $ = (id) => document.getElementById(id);

async function readFloor(api, floor) {
  for (const phase of ["ringing", "active", "wrap_up"]) {
    let cursor = "";
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const { calls, next } = await api.json(`/v1/calls?phase=${phase}&limit=${PAGE_SIZE}${cursor}`);
      for (const call of calls) floor.read(call);
      if (!next) break;
      cursor = `&cursor=${encodeURIComponent(next)}`;
    }
  }
  const { calls } = await api.json(`/v1/calls?phase=released&limit=${RELEASED_READ}`);
  for (const call of calls) floor.read(call);
  const { rows } = await api.json("/v1/dispositions?limit=40");
  for (const row of rows) floor.readDisposition(row);
  await readCallbacks(api, floor.callbacks);
}

// Those that were due in the last day, and of those to come the next.
async function readCallbacks(api, callbacks) {
  const now = encodeURIComponent(new Date(api.now()).toISOString());
  let cursor = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { rows, next } = await api.json(`/v1/callbacks?to=${now}&limit=${PAGE_SIZE}${cursor}`);
    for (const row of rows) callbacks.read(row);
    if (!next) break;
    cursor = `&cursor=${encodeURIComponent(next)}`;
  }
  const { rows } = await api.json(`/v1/callbacks?from=${now}&limit=${PAGE_SIZE}`);
  for (const row of rows) callbacks.read(row);
  callbacks.end();
}

// One key, from its entry to its end: the stream, what is known by it, and the page that is shown.
class Session {
  floor;
  #api;
  #signal;
  #pages;
  #stale = true;
  #begun = false;

  constructor(key, signal) {
    this.#api = new Api(key);
    this.floor = new Floor(() => this.#api.now());
    this.#signal = signal;
    this.#pages = new Pages(PAGES, this.#api, this.floor);
  }

  async run() {
    connection("opening", "Connecting");
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#api.follow(TOPICS, this, this.#signal);
    } finally {
      clearInterval(ticking);
      this.#pages.close();
    }
  }

  // First the stream, then the calls: what changes in between is told, and versions sort it out.
  async open(resumed) {
    if (!resumed) await this.#begin();
    connection("live", "Live");
    if (!this.#begun) {
      this.#begun = true;
      this.turn(false);
    } else {
      this.#pages.page.again?.();
    }
  }

  event({ type, data }) {
    if (type === "stream.gap") {
      this.#begin().then(() => this.#pages.page?.again?.(), () => location.reload());
      return;
    }
    this.#stale = true;
    this.floor.hear(data);
    this.#pages.page?.hear?.(data);
  }

  lost(waitMs) {
    connection("lost", `Connection lost, trying again in ${Math.ceil(waitMs / 1000)} s`);
  }

  // To the page that the address names now.
  turn(asked) {
    if (!this.#begun) return;
    this.#stale = true;
    this.#pages.turn(asked, () => this.#tick());
  }

  async #begin() {
    this.floor.forget();
    await readFloor(this.#api, this.floor);
    this.#stale = true;
  }

  #tick() {
    const { page } = this.#pages;
    if (!page) return;
    const stale = this.#stale;
    this.#stale = false;
    keepingFocus(() => page.draw(this.#api.now(), stale));
  }
}

let session = null;

async function run(key, signal) {
  const own = new Session(key, signal);
  session = own;
  try {
    await own.run();
  } finally {
    if (session === own) session = null;
  }
}

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `/calls/${encodeURIComponent($("find-call").value.trim())}`;
});

enter(run, () => session?.turn(true));
