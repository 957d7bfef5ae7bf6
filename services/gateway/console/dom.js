// Small hands for the document. Data goes into it as text, never as markup; what is already as it
// should be is not touched, so that focus, selection and animations survive.

import { Refused } from "/console/api.js";

const DAY_LOOK_MS = 1000; // whether the day is over

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setData(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

// On a page with a place for it: what it shows is of before, or can't be at all. No error: nothing.
export function sayUnread(page, error, what = "It") {
  setText(page.querySelector(".problem"), error ? unread(error, what) : "");
}

function unread(error, what) {
  if (error instanceof Refused) return `${what} can't be read: ${error.message}.`;
  return `${what} can't be read now (${error.message}); trying again.`;
}

// Makes these the children, in this order, moving only what is not in its place.
export function place(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

// Draws, and gives back the focus that a moved node has lost by it. Where it was drawn anew the same
// link takes over; where it is gone for good its list, so that the next Tab goes on from there.
export function keepingFocus(draw) {
  const focused = document.activeElement;
  const list = focused?.closest("[tabindex='0']");
  draw();
  if (!focused || focused === document.activeElement || focused === document.body) return;
  const same = focused.hash && [...(list?.querySelectorAll("a") ?? [])].find((one) => one.hash === focused.hash);
  const heir = focused.isConnected ? focused : same || list;
  heir?.focus({ preventScroll: true });
}

// Rows that are made once by their key, and drawn anew only when what they show has changed.
export class Rows {
  #parent;
  #make;
  #made = new Map();

  constructor(parent, make) {
    this.#parent = parent;
    this.#make = make; // (item) => element
  }

  // Items need a `key` that is theirs alone; the rest is compared as JSON.
  draw(items) {
    const kept = new Map();
    for (const item of items) {
      const shows = JSON.stringify(item);
      const known = this.#made.get(item.key);
      kept.set(item.key, known?.shows === shows ? known : { shows, row: this.#make(item) });
    }
    this.#made = kept;
    place(this.#parent, [...kept.values()].map(({ row }) => row));
  }
}

function clock(instant) {
  return new Date(instant).toLocaleTimeString(undefined, { hour12: false });
}

export function dayAndClock(instant) {
  const when = new Date(instant);
  const sameDay = when.toDateString() === new Date().toDateString();
  return sameDay ? clock(instant) : `${when.toLocaleDateString()} ${clock(instant)}`;
}

// A length of time, short: 7 s, 3 min 05 s, 2 h 10 min, 3 d 4 h.
export function lasting(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function when(instant) {
  return element("time", { datetime: instant }, dayAndClock(instant));
}

// Once a day is over its instants say of which day they are, until the signal aborts.
export function keepDated(root, signal) {
  let day = new Date().toDateString();
  const timer = setInterval(() => {
    const today = new Date().toDateString();
    if (today === day) return;
    day = today;
    for (const one of root.querySelectorAll("time[datetime]")) setText(one, dayAndClock(one.dateTime));
  }, DAY_LOOK_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

// Names and what they stand for: texts, or nodes.
export function pairs(told) {
  const list = element("dl");
  for (const [name, shown] of told) {
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, shown)));
  }
  return list;
}

export const callAddress = (id) => `#/calls/${encodeURIComponent(id)}`;

export function callLink(id) {
  return element("a", { class: "call-id", href: callAddress(id) }, id);
}

// The address of a subject by its name: `customer:7`, `record:17/7`, `enrolment:spring/7`.
export function subjectAddress(name) {
  const colon = name.indexOf(":");
  const slash = name.lastIndexOf("/");
  const id = name.slice(Math.max(colon, slash) + 1);
  const within = slash < 0 ? "" : `?within=${encodeURIComponent(name.slice(colon + 1, slash))}`;
  return `#/subjects/${name.slice(0, colon)}/${encodeURIComponent(id)}${within}`;
}

export function subjectLink(name) {
  return element("a", { href: subjectAddress(name) }, name);
}
