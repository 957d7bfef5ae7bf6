// The way into a console: asks for a key, keeps it in this tab alone, forgets it when told to.

import { Unauthorized } from "/console/api.js";

const KEY = "aftercall.key"; // in sessionStorage: gone with the tab

const $ = (id) => document.getElementById(id);

export function connection(state, text) {
  const status = $("connection");
  if (status.dataset.state !== state) status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

// Whoever has just given a key goes on from the page that it opens.
export function show(id) {
  const entering = id === "page" && $("key-page").contains(document.activeElement);
  for (const one of ["key-page", "page"]) $(one).hidden = one !== id;
  for (const one of ["leave", "pages"]) $(one).hidden = id !== "page";
  if (entering) $("page").focus({ preventScroll: true });
}

// `run(key, signal)` is all that is done with a key; it throws when the key is good no more.
// `turn()` is told that the address names another page.
export function enter(run, turn) {
  let leaving = new AbortController();

  async function open(key) {
    leaving.abort();
    leaving = new AbortController();
    const { signal } = leaving;
    sessionStorage.setItem(KEY, key);
    try {
      await run(key, signal);
    } catch (error) {
      if (signal.aborted) return;
      sessionStorage.removeItem(KEY);
      ask(error instanceof Unauthorized ? error.message : String(error));
    }
  }

  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    open($("key").value.trim());
  });

  $("leave").addEventListener("click", () => {
    leaving.abort();
    sessionStorage.removeItem(KEY);
    ask();
  });

  window.addEventListener("hashchange", () => {
    const key = keyFromAddress();
    if (key) open(key);
    else turn();
  });

  const key = keyFromAddress() ?? sessionStorage.getItem(KEY);
  if (key) open(key);
  else ask();
}

function ask(problem = "") {
  connection("idle", "Not connected");
  show("key-page");
  $("page").replaceChildren();
  $("key-problem").textContent = problem;
  $("key").value = "";
  $("key").focus();
}

// A key in the address is taken once and leaves the address bar before anything else happens.
function keyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(null, "", location.pathname + location.search);
  return key;
}
