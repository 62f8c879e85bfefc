// SPDX-License-Identifier: Apache-2.0
// Numbers and source lines as people read them, and the making of elements.

const CAUSE_TEXT = {
  flag: ["flag", "wait_flag: another pipe had not set the flag yet"],
  cross_core: ["other core", "wait_flag_dev: the other core had not signalled yet"],
  barrier: ["barrier", "a pipe_barrier or a barrier of all cores"],
  queue_full: ["queue full", "the scalar unit stood still: the queue of a pipe had no room"],
  issue: ["not issued", "nothing to do: the scalar unit had not issued the next instruction"],
  hbm: ["shared HBM", "slower than alone: other transfers use the HBM too"],
  l2: ["shared L2", "slower than alone: other transfers use the L2 too"],
  scalar_gm: ["scalar load", "the scalar unit stood still: a load of GM had not arrived"],
  launch: ["launch", "before the core began"],
  done: ["done", "after the core's last instruction"],
};

// Elements of text only: nothing of the data is ever read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (name === "style") element.style.cssText = value; // set by script: the policy allows it
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
}

// Three or four significant digits; never an exponent.
function digits(value) {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US").replaceAll(",", " ");
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

function timeText(ps) {
  const size = Math.abs(ps);
  if (size >= 1e9) return `${digits(ps / 1e9)} ms`;
  if (size >= 1e6) return `${digits(ps / 1e6)} µs`;
  if (size >= 1e3) return `${digits(ps / 1e3)} ns`;
  return `${Math.round(ps)} ps`;
}

// A moment of the launch: microseconds to the nanosecond.
const momentText = (ps) => `${(ps / 1e6).toFixed(3)} µs`;
const percentText = (share) => {
  const percent = share * 100;
  return percent !== 0 && percent < 9.95 ? `${percent.toFixed(1)} %` : `${percent.toFixed(0)} %`;
};

function bytesText(bytes) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= size) return `${digits(bytes / size)} ${unit}`;
  }
  return `${bytes} B`;
}

// Single transfers are powers of two, so here binary units.
function transferText(bytes) {
  return bytes >= 1024 && bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

// Frames of a site, innermost first: [{file, line, name}].
function framesOf(site) {
  return (site ?? "").split("\n").filter((line) => line.trim()).map((line) => {
    const text = line.trim().replace(/^(at|in) /, "");
    const split = text.match(/^(.*?)(?: \((.*)\))?$/);
    const place = split[1].match(/^(.*):(\d+)$/);
    return { file: place ? place[1] : split[1], line: place ? place[2] : "", name: split[2] ?? "" };
  });
}

const fileName = (path) => path.split("/").pop();
const placeText = (frame) => fileName(frame.file) + (frame.line ? `:${frame.line}` : "");

function framesElement(site, limit, whole = false) {
  const frames = framesOf(site);
  const list = make("div", { class: "frames" });
  frames.slice(0, limit).forEach((frame, depth) => {
    const place = whole ? frame.file + (frame.line ? `:${frame.line}` : "") : placeText(frame);
    list.append(make("div", {}, make(depth ? "span" : "b", {}, place), frame.name ? `  ${frame.name}` : ""));
  });
  if (frames.length > limit) list.append(make("div", {}, `… ${frames.length - limit} frames more`));
  return frames.length ? list : null;
}

function dataTable(heads, rows) {
  const body = make("tbody");
  for (const row of rows) {
    body.append(make("tr", {}, ...row.map((cell, i) => make("td", { class: heads[i].kind }, cell))));
  }
  const head = make("tr", {}, ...heads.map(({ text, kind }) => make("th", { class: kind, scope: "col" }, text)));
  return make("table", { class: "data" }, make("thead", {}, head), body);
}

const byId = (id) => document.getElementById(id);
