// Charts as inline SVG, each with the same figures as a table. Colours are classes of the style
// sheet; sizes are attributes, for the page's policy lets no style stand in it.

import { element, setText } from "/console/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const NARROWEST = 320; // below it a chart is drawn smaller
const HEIGHT = 240;
const LABEL = 72; // beside one another
const LEFT = 40; // for the scale
const BOTTOM = 24; // for the labels
const TOP = 8;
const ROW = 28;
const NAMES = 150; // beside horizontal bars
const FIGURES = 90;

export class Chart {
  #figure;
  #rowName;
  #data = null;
  #how = null;
  #shown = "";

  // The figure has a caption; the rest is made here, and only what differs is drawn again.
  constructor(figure, rowName) {
    this.#figure = figure;
    this.#rowName = rowName;
    this.says = element("p", { class: "says" });
    this.drawing = element("div", { class: "drawing" });
    this.legend = element("ul", { class: "legend" });
    this.table = element("table");
    figure.append(
      this.says,
      this.drawing,
      this.legend,
      element("details", {}, element("summary", {}, "As a table"),
        element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${this.#title()}, as a table` }, this.table)),
    );
    new ResizeObserver(() => this.#draw(this.#data, this.#how)).observe(this.drawing);
  }

  // Upright bars, one for each label, the series on one another.
  columns(data) {
    this.#draw(data, stacked);
  }

  // Level bars, one for each label, of one series.
  bars(data) {
    this.#draw(data, level);
  }

  #title() {
    return this.#figure.querySelector("h3").textContent;
  }

  // data: labels; series; counts[label][series]; says: what it shows, in a sentence.
  #draw(data, how) {
    const width = Math.max(NARROWEST, this.drawing.clientWidth); // so that text has the page's size
    const shows = JSON.stringify([data, width]);
    if (data === null || shows === this.#shown) return;
    [this.#data, this.#how, this.#shown] = [data, how, shows];
    setText(this.says, data.says);
    const drawing = how(data, width);
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", `${this.#title()}. ${data.says}`);
    this.drawing.replaceChildren(drawing);
    const many = data.series.length > 1;
    this.legend.replaceChildren(...(many ? data.series.map(key) : []));
    this.table.replaceChildren(...rows(data, this.#rowName));
  }
}

function stacked({ labels, series, counts }, width) {
  const most = scale(Math.max(1, ...counts.map(sum)));
  const tall = HEIGHT - TOP - BOTTOM;
  const step = (width - LEFT) / labels.length;
  const each = Math.ceil(LABEL / step);
  const up = (count) => TOP + tall - (count / most) * tall;
  const parts = [];
  for (const mark of [0, most / 2, most].filter(Number.isInteger)) {
    parts.push(svg("line", { x1: LEFT, x2: width, y1: up(mark), y2: up(mark), class: "grid" }));
    parts.push(text(mark.toLocaleString(), LEFT - 6, up(mark) + 4, "end"));
  }
  labels.forEach((label, column) => {
    let below = 0;
    series.forEach((name, one) => {
      const count = counts[column][one];
      if (count === 0) return;
      const box = { x: LEFT + column * step + 2, width: step - 4, y: up(below + count) };
      const bar = svg("rect", { ...box, height: up(below) - up(below + count), class: `series-${one}` });
      bar.append(svg("title", {}, `${label}, ${name}: ${count.toLocaleString()}`));
      parts.push(bar);
      below += count;
    });
    if (column % each === 0 && labels.length - column >= each / 2) parts.push(text(label, LEFT + column * step, HEIGHT - 6, "start"));
  });
  return svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}` }, ...parts);
}

function level({ labels, counts, shares }, width) {
  const all = sum(counts.map(sum));
  const most = Math.max(1, ...counts.map(sum));
  const parts = labels.flatMap((label, row) => {
    const count = counts[row][0];
    const long = (count / most) * (width - NAMES - FIGURES);
    const share = all > 0 ? ` (${Math.round((count / all) * 100)} %)` : "";
    const y = row * ROW;
    return [
      text(label, NAMES - 10, y + ROW / 2 + 4, "end"),
      svg("rect", { x: NAMES, y: y + 4, width: Math.max(long, count > 0 ? 2 : 0), height: ROW - 8, class: shares ? `share-${row}` : "series-0" }),
      text(`${count.toLocaleString()}${share}`, NAMES + long + 8, y + ROW / 2 + 4, "start"),
    ];
  });
  return svg("svg", { viewBox: `0 0 ${width} ${labels.length * ROW}` }, ...parts);
}

function rows({ labels, series, counts }, rowName) {
  const head = [rowName, ...series, ...(series.length > 1 ? ["all"] : [])];
  const body = labels.map((label, row) => {
    const figures = series.length > 1 ? [...counts[row], sum(counts[row])] : counts[row];
    return element("tr", {}, element("th", { scope: "row" }, label),
      ...figures.map((count) => element("td", {}, count.toLocaleString())));
  });
  return [
    element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...body),
  ];
}

function key(name, one) {
  const swatch = svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    svg("rect", { width: 12, height: 12, rx: 2, class: `series-${one}` }));
  return element("li", {}, swatch, ` ${name}`);
}

// A round number at or above: the top of a scale.
function scale(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  const steps = [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10].map((step) => step * power);
  return Math.max(2, Math.round(steps.find((step) => step >= most)));
}

function sum(counts) {
  return counts.reduce((all, count) => all + count, 0);
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function text(words, x, y, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, words);
}
