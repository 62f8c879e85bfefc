// SPDX-License-Identifier: Apache-2.0
// Mouse, touch and keys on the lanes, and the search.

const CLICK_SLACK = 4;

function listenToLanes(view) {
  const canvas = view.canvas;
  const pointers = new Map();
  let gesture = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("wheel", (event) => {
    const wants = event.ctrlKey || event.metaKey || document.activeElement === canvas;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!wants && !sideways) return; // the page scrolls
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 24 : 1;
    if (sideways) view.pan((event.deltaX * unit) / view.width);
    else if (event.shiftKey) view.pan((event.deltaY * unit) / view.width);
    else view.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY * unit)) * 0.0028), view.timeAt(at(event).x));
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    const point = at(event);
    pointers.set(event.pointerId, point);
    gesture = { from: point, range: { ...view.range }, moved: false, select: event.shiftKey, pinch: pinchOf(pointers) };
    if (gesture.select) view.band = [view.timeAt(point.x), view.timeAt(point.x)];
    hover(view, null);
  });

  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    if (!gesture) {
      hover(view, view.itemAt(point.x, point.y), event);
      return;
    }
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, point);
    if (Math.abs(point.x - gesture.from.x) > CLICK_SLACK) gesture.moved = true;
    moveGesture(view, gesture, pointers, point);
  });

  const stop = (event) => {
    if (!pointers.delete(event.pointerId) || !gesture) return;
    if (pointers.size) {
      gesture = { ...gesture, from: [...pointers.values()][0], range: { ...view.range }, pinch: null, moved: true };
      return;
    }
    finishGesture(view, gesture, at(event), event.type === "pointerup");
    gesture = null;
  };
  canvas.addEventListener("pointerup", stop);
  canvas.addEventListener("pointercancel", stop);
  canvas.addEventListener("pointerleave", () => gesture || hover(view, null));
  canvas.addEventListener("dblclick", (event) => {
    const { x, y } = at(event);
    const item = view.itemAt(x, y);
    if (item && item.kind !== "heat") view.zoomTo(item);
  });
}

function pinchOf(pointers) {
  if (pointers.size !== 2) return null;
  const [a, b] = [...pointers.values()];
  return { distance: Math.max(12, Math.abs(a.x - b.x)), middle: (a.x + b.x) / 2 };
}

function moveGesture(view, gesture, pointers, point) {
  const { range } = gesture;
  const length = range.end - range.begin;
  const now = pinchOf(pointers);
  if (now && gesture.pinch) {
    const wanted = length * (gesture.pinch.distance / now.distance);
    const held = range.begin + (gesture.pinch.middle / view.width) * length;
    const begin = held - (now.middle / view.width) * wanted;
    view.setRange(begin, begin + wanted);
    gesture.moved = true;
  } else if (gesture.select) {
    view.band[1] = view.timeAt(point.x);
    view.changed();
  } else if (gesture.moved) {
    view.canvas.classList.add("dragging");
    const step = ((gesture.from.x - point.x) / view.width) * length;
    view.setRange(range.begin + step, range.end + step);
  }
}

function finishGesture(view, gesture, point, done) {
  view.canvas.classList.remove("dragging");
  const band = view.band;
  view.band = null;
  if (!done) return;
  if (band && gesture.moved) {
    view.setRange(Math.min(...band), Math.max(...band));
  } else if (!gesture.moved) {
    clickAt(view, point);
  }
  view.changed();
}

function clickAt(view, { x, y }) {
  const item = view.itemAt(x, y);
  const content = y + view.visible.top;
  const row = view.rows.find((r) => content >= r.y && content < r.y + r.h);
  if (row?.kind === "block") {
    if (!view.open.has(row.block.number)) view.toggle(row.block.number, true);
    return;
  }
  view.select(item && item.kind !== "heat" ? item : null);
  speak(view);
}

function hover(view, item, event) {
  const same = view.hovered && item && ["lane", "kind", "index"].every((key) => view.hovered[key] === item[key]);
  view.hovered = item;
  if (!same) view.changed();
  showTooltip(view, event ? item : null, event?.clientX, event?.clientY);
}

function listenToAxis(view) {
  const axis = byId("axis");
  let from = null;
  axis.addEventListener("pointerdown", (event) => {
    axis.setPointerCapture(event.pointerId);
    from = view.timeAt(event.offsetX);
    view.band = [from, from];
  });
  axis.addEventListener("pointermove", (event) => {
    if (from === null) return;
    view.band = [from, view.timeAt(event.offsetX)];
    view.changed();
  });
  const stop = (event) => {
    if (from === null) return;
    const to = view.timeAt(event.offsetX);
    const wide = Math.abs(to - from) > ((view.range.end - view.range.begin) / view.width) * CLICK_SLACK;
    const start = from;
    from = view.band = null;
    if (wide && event.type === "pointerup") view.setRange(Math.min(start, to), Math.max(start, to));
    view.changed();
  };
  axis.addEventListener("pointerup", stop);
  axis.addEventListener("pointercancel", stop);
  axis.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.0028), view.timeAt(event.offsetX));
  }, { passive: false });
}

// Keys that act wherever the focus is, except in fields, and those that need the lanes.
function keyActions(page) {
  const { view } = page;
  const cycle = { selected: "all", all: "none", none: "selected" };
  return {
    global: {
      "+": () => view.zoom(0.6), "=": () => view.zoom(0.6), "-": () => view.zoom(1 / 0.6), "0": () => view.fit(),
      "/": () => byId("search").focus(), n: () => page.search.step(1), N: () => page.search.step(-1),
      s: () => page.showSlowest(), e: () => view.openAll(true), c: () => view.openAll(false),
      f: () => view.selected && view.zoomTo(view.selected),
      a: () => page.setArrows(cycle[view.arrowMode]),
      "[": () => stepItem(view, -1), "]": () => stepItem(view, 1),
      "?": () => byId("keys").showModal(),
      Escape: () => { view.select(null); view.canvas.blur(); },
    },
    lanes: {
      ArrowLeft: () => view.pan(-0.15), ArrowRight: () => view.pan(0.15),
      ArrowUp: () => stepLane(view, -1), ArrowDown: () => stepLane(view, 1),
      Home: () => view.setRange(0, view.range.end - view.range.begin),
      End: () => view.setRange(Infinity, Infinity),
    },
  };
}

function listenToKeys(page) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
    if (event.target.closest("input, select, textarea")) return;
    const { global, lanes } = keyActions(page);
    const action = (document.activeElement === page.view.canvas && lanes[event.key]) || global[event.key];
    if (!action) return;
    event.preventDefault();
    action();
    if (["[", "]", "ArrowUp", "ArrowDown"].includes(event.key)) speak(page.view);
  });
}

// Finds instructions by a part of their name or of any of their source lines.
class Search {
  constructor(page) {
    this.page = page;
    this.field = byId("search");
    this.list = [];
    this.position = -1;
    this.field.addEventListener("input", () => this.find(this.field.value));
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") { this.set(""); this.field.blur(); }
    });
    byId("next-match").addEventListener("click", () => this.step(1));
    byId("previous-match").addEventListener("click", () => this.step(-1));
  }

  set(text) {
    this.field.value = text;
    this.find(text);
  }

  // Every word must occur in the name or the source lines.
  find(text) {
    const { view } = this.page;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.position = -1;
    this.list = [];
    view.matches = words.length ? { lanes: this.collect(view.launch, words) } : null;
    this.say(words.length ? undefined : "");
    view.changed();
  }

  collect(launch, words) {
    const insns = launch.insns.map((name) => name.toLowerCase());
    const sites = launch.sites.map((site) => site.toLowerCase());
    const known = new Map();
    const matches = (insn, site) => {
      const key = insn * launch.sites.length + site;
      if (!known.has(key)) {
        known.set(key, words.every((word) => insns[insn].includes(word) || sites[site].includes(word)));
      }
      return known.get(key);
    };
    const lanes = new Map();
    for (const lane of launch.lanes) {
      const { spans } = lane;
      const hits = [];
      for (let i = 0; i < spans.n; ++i) if (matches(spans.insn[i], spans.site[i])) hits.push(i);
      lanes.set(lane.index, makeSequence(
        Float64Array.from(hits, (i) => spans.begin[i]), Float64Array.from(hits, (i) => spans.end[i])));
      for (const index of hits) this.list.push({ lane, kind: "span", index });
    }
    const order = new Map(this.page.view.rows.map((row, i) => [row.block.number, i]));
    this.list.sort((a, b) => order.get(a.lane.block) - order.get(b.lane.block)
      || a.lane.spans.begin[a.index] - b.lane.spans.begin[b.index]);
    return lanes;
  }

  step(by) {
    if (!this.list.length) return;
    this.position = this.position < 0 ? (by > 0 ? 0 : this.list.length - 1)
      : (this.position + by + this.list.length) % this.list.length;
    this.page.view.select(this.list[this.position], { follow: true });
    this.say();
    speak(this.page.view);
  }

  say(text) {
    const place = this.position >= 0 ? `${this.position + 1} of ` : "";
    byId("matches").textContent = text ?? `${place}${this.list.length.toLocaleString("en-US")} found`;
    for (const id of ["next-match", "previous-match"]) byId(id).hidden = !this.list.length;
  }
}
