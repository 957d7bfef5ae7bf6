// The console: asks for a key, follows what happens, and shows the page that the address names.

import { Api, Unauthorized } from "/console/api.js";
import { BoardPage } from "/console/board_page.js";
import { CallPage } from "/console/call_page.js";
import { ChartsPage } from "/console/charts_page.js";
import { CodesPage } from "/console/codes_page.js";
import { keepingFocus } from "/console/dom.js";
import { Floor } from "/console/floor.js";
import { FloorPage } from "/console/floor_page.js";
import { SubjectPage } from "/console/subject_page.js";

const KEY = "aftercall.key"; // in sessionStorage: gone with the tab
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
  [/^\/calls\/([^/]+)$/, "Call", CallPage],
  [/^\/subjects\/(customer|record|enrolment)\/([^/]+)$/, "History", SubjectPage],
];

const $ = (id) => document.getElementById(id);

function connection(state, text) {
  const status = $("connection");
  if (status.dataset.state !== state) status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

// A key in the address is taken once and leaves the address bar before anything else happens.
function keyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(null, "", location.pathname + location.search);
  return key;
}

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
  floor = new Floor();
  #api;
  #signal;
  #page = null;
  #leaving = new AbortController();
  #stale = true;
  #begun = false;

  constructor(key, signal) {
    this.#api = new Api(key);
    this.#signal = signal;
  }

  async run() {
    connection("opening", "Connecting");
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#api.follow(TOPICS, this, this.#signal);
    } finally {
      clearInterval(ticking);
      this.#leaving.abort();
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
      this.#page.again?.();
    }
  }

  event({ type, data }) {
    if (type === "stream.gap") {
      this.#begin().then(() => this.#page?.again?.(), () => location.reload());
      return;
    }
    this.#stale = true;
    this.floor.hear(data);
    this.#page?.hear?.(data);
  }

  lost(waitMs) {
    connection("lost", `Connection lost, trying again in ${Math.ceil(waitMs / 1000)} s`);
  }

  // To the page that the address names now. Whoever has asked for it gets the focus there.
  turn(asked) {
    if (!this.#begun) return;
    const [path, query = ""] = location.hash.slice(1).split("?");
    const [page, words] = this.#make(path, new URLSearchParams(query));
    this.#leaving.abort();
    this.#leaving = new AbortController();
    this.#page = page;
    const root = $("page");
    root.replaceChildren(page.root);
    document.title = `${words} – Aftercall console`;
    for (const link of document.querySelectorAll("#pages a")) {
      const here = link.hash === `#${path || "/"}`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    show("page");
    this.#stale = true;
    this.#tick();
    page.open?.(this.#leaving.signal);
    if (asked) {
      window.scrollTo(0, 0);
      root.focus({ preventScroll: true });
    }
  }

  #make(path, query) {
    for (const [address, words, Page] of PAGES) {
      const found = address.exec(path);
      if (!found) continue;
      try {
        const parts = found.slice(1).map(decodeURIComponent);
        return [new Page(this.#api, this.floor, parts, query), [words, ...parts].join(" ")];
      } catch (error) {
        if (!(error instanceof URIError)) throw error;
      }
    }
    return [new FloorPage(this.#api, this.floor), "Floor"];
  }

  async #begin() {
    this.floor.forget();
    await readFloor(this.#api, this.floor);
    this.#stale = true;
  }

  #tick() {
    if (!this.#page) return;
    const stale = this.#stale;
    this.#stale = false;
    keepingFocus(() => this.#page.draw(this.#api.now(), stale));
  }
}

function show(id) {
  for (const one of ["key-page", "page"]) $(one).hidden = one !== id;
  for (const one of ["leave", "pages"]) $(one).hidden = id !== "page";
}

function askForKey(problem = "") {
  session = null;
  connection("idle", "Not connected");
  show("key-page");
  $("page").replaceChildren();
  $("key-problem").textContent = problem;
  $("key").value = "";
  $("key").focus();
}

let session = null;
let following = new AbortController();

async function open(key) {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  sessionStorage.setItem(KEY, key);
  session = new Session(key, signal);
  try {
    await session.run();
  } catch (error) {
    if (signal.aborted) return;
    sessionStorage.removeItem(KEY);
    askForKey(error instanceof Unauthorized ? error.message : String(error));
  }
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  open($("key").value.trim());
});

$("leave").addEventListener("click", () => {
  following.abort();
  sessionStorage.removeItem(KEY);
  askForKey();
});

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `/calls/${encodeURIComponent($("find-call").value.trim())}`;
});

window.addEventListener("hashchange", () => {
  const key = keyFromAddress();
  if (key) open(key);
  else session?.turn(true);
});

const key = keyFromAddress() ?? sessionStorage.getItem(KEY);
if (key) open(key);
else askForKey();
