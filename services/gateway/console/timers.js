// Countdowns of wrap-up, by the server's deadline and the server's clock.

import { element, setData, setText } from "/console/dom.js";

export function timer(label) {
  return element("span", { class: "timer", hidden: "" },
    element("progress", { "aria-label": label }), element("span"));
}

// The deadline that it counts down to; null: none.
export function holdTimer(node, endsAt, overdue) {
  node.hidden = endsAt === null;
  setData(node, "overdue", overdue ? "yes" : "");
  if (endsAt === null) {
    delete node.dataset.ends;
  } else if (node.dataset.ends !== endsAt) {
    node.dataset.ends = endsAt;
    delete node.dataset.began;
  }
}

// All of them below this node; cheap enough for several times a second.
export function drawTimers(root, nowMs) {
  for (const one of root.querySelectorAll("[data-ends]")) drawTimer(one, nowMs);
}

function drawTimer(node, nowMs) {
  const [bar, text] = node.children;
  const leftMs = Math.max(0, Date.parse(node.dataset.ends) - nowMs);
  // The bar is full at what was left when the page first saw this deadline.
  if (node.dataset.began === undefined) node.dataset.began = String(Math.max(leftMs, 1));
  bar.max = Number(node.dataset.began);
  bar.value = leftMs;
  const left = Math.ceil(leftMs / 1000);
  const over = node.dataset.overdue || left === 0;
  setText(text, over ? "over" : left < 100 ? `${left} s` : `${Math.ceil(left / 60)} min`);
}
