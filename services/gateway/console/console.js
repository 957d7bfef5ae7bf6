// The console: asks for a key, reads what there is, follows what happens, draws it.

import { Api, Unauthorized } from "/console/api.js";
import { Floor, PHASES } from "/console/floor.js";
import { View } from "/console/view.js";

const KEY = "aftercall.key"; // in sessionStorage: gone with the tab
const TOPICS = ["calls.changed", "disposition.events", "user.events"];
const PAGE_SIZE = 200;
const PAGES_MAX = 5;
const TICK_MS = 250;

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
  for (const phase of PHASES) {
    let cursor = "";
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const path = `/v1/calls?phase=${phase}&limit=${phase === "released" ? 30 : PAGE_SIZE}${cursor}`;
      const { calls, next } = await api.json(path);
      for (const call of calls) floor.read(call);
      if (!next || phase === "released") break;
      cursor = `&cursor=${encodeURIComponent(next)}`;
    }
  }
  const { rows } = await api.json("/v1/dispositions?limit=40");
  for (const row of rows) floor.readDisposition(row);
}

async function follow(key, signal) {
  const api = new Api(key);
  const view = new View($("floor-page"));
  let floor = new Floor();
  let stale = true;

  const ticking = setInterval(() => {
    if (stale) view.draw(floor, api.now());
    else view.tick(api.now());
    stale = false;
  }, TICK_MS);

  // First the stream, then the calls: what changes in between is told, and versions sort it out.
  const on = {
    async open(resumed) {
      if (!resumed) {
        floor = new Floor();
        await readFloor(api, floor);
      }
      stale = true;
      show("floor-page");
      connection("live", "Live");
    },
    event({ type, data }) {
      if (type === "stream.gap") location.reload();
      floor.hear(data);
      stale = true;
    },
    lost(waitMs) {
      connection("lost", `Connection lost, trying again in ${Math.ceil(waitMs / 1000)} s`);
    },
  };
  try {
    connection("opening", "Connecting");
    await api.follow(TOPICS, on, signal);
  } finally {
    clearInterval(ticking);
  }
}

function show(page) {
  $("key-page").hidden = page !== "key-page";
  $("floor-page").hidden = page !== "floor-page";
  $("leave").hidden = page !== "floor-page";
}

function askForKey(problem = "") {
  connection("idle", "Not connected");
  show("key-page");
  $("key-problem").textContent = problem;
  $("key").value = "";
  $("key").focus();
}

let following = new AbortController();

async function open(key) {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  sessionStorage.setItem(KEY, key);
  try {
    await follow(key, signal);
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

function start() {
  const key = keyFromAddress() ?? sessionStorage.getItem(KEY);
  if (key) open(key);
  else askForKey();
}

window.addEventListener("hashchange", start);
start();
