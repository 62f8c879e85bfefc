// SPDX-License-Identifier: Apache-2.0
// The lanes: which rows there are, which part of time is shown, and what hands do to it.

const BLOCK_HEIGHT = 30;
const LANE_HEIGHT = 19;
const CORE_GAP = 5;
const MIN_SPAN_PS = 2000;
const STRIP_GAP = 2;

class View {
  constructor(causes) {
    this.causes = causes;
    this.canvas = byId("lanes");
    this.stage = byId("stage");
    this.order = byId("order").value;
    this.arrowMode = byId("arrows").value;
    this.listeners = [];
    this.palette = new Palette();
  }

  setLaunch(launch) {
    this.launch = launch;
    this.range = this.firstRange();
    this.open = new Set(launch.favourites);
    this.selected = this.hovered = this.matches = this.band = null;
    this.layOut();
  }

  // The whole launch, or where cores work if launching takes most of it.
  firstRange() {
    const { lanes, total_ps: total } = this.launch;
    const before = this.causes.indexOf("launch");
    const after = this.causes.indexOf("done");
    const begin = Math.min(...lanes.map((lane) => lane.wait_ps[before]));
    const end = total - Math.min(...lanes.map((lane) => lane.wait_ps[after]));
    const margin = (end - begin) * 0.04;
    if (!(end > begin) || end - begin > total * 0.45) return { begin: 0, end: total };
    return { begin: Math.max(0, begin - margin), end: Math.min(total, end + margin) };
  }

  // Rows from top to bottom: a block, and if it is open its lanes.
  layOut() {
    const blocks = [...this.launch.blocks];
    if (this.order === "time") blocks.sort((a, b) => b.working_ps - a.working_ps || a.number - b.number);
    this.rows = [];
    this.rowOfLane = new Map();
    this.rowOfBlock = new Map();
    let y = 0;
    for (const block of blocks) {
      const row = { kind: "block", block, y, h: BLOCK_HEIGHT };
      this.rows.push(row);
      this.rowOfBlock.set(block.number, row);
      y += BLOCK_HEIGHT;
      if (!this.open.has(block.number)) continue;
      block.lanes.forEach((lane, i) => {
        if (i && block.lanes[i - 1].role !== lane.role) y += CORE_GAP;
        const laneRow = { kind: "lane", block, lane, y, h: LANE_HEIGHT };
        this.rows.push(laneRow);
        this.rowOfLane.set(lane.index, laneRow);
        y += LANE_HEIGHT;
      });
      y += CORE_GAP;
    }
    this.height = y;
    this.drawLabels();
    this.changed();
  }

  drawLabels() {
    const labels = byId("labels");
    labels.replaceChildren();
    labels.style.height = this.stage.style.height = `${this.height}px`;
    const slowest = this.launch.favourites[0];
    let bottom = 0;
    for (const row of this.rows) {
      const gap = row.y - bottom;
      const style = `height:${row.h}px;margin-top:${gap}px`;
      bottom = row.y + row.h;
      row.label = row.kind === "block" ? this.blockLabel(row, style, slowest) : this.laneLabel(row, style);
      labels.append(row.label);
    }
    this.markLane();
  }

  blockLabel({ block }, style, slowest) {
    return make("button", {
      class: "row block", style, "aria-expanded": String(this.open.has(block.number)),
      onclick: () => this.toggle(block.number),
    },
    make("span", {}, `Block ${block.number}`),
    block.number === slowest && this.launch.blocks.length > 1 ? make("span", { class: "tag" }, "slowest") : null,
    make("span", { class: "right", title: "working time, modelled" }, timeText(block.working_ps)));
  }

  laneLabel({ lane }, style) {
    const slowed = this.causes.reduce((sum, cause, i) => sum + (isSlowing(cause) ? lane.wait_ps[i] : 0), 0);
    const busy = (lane.busy_ps + slowed) / this.launch.total_ps;
    return make("div", { class: "row lane", style },
      make("span", { class: "core" }, lane.roleName), make("b", {}, lane.pipeName),
      make("span", { class: "right", title: "share of the launch that it works" }, percentText(busy)));
  }

  toggle(block, open = !this.open.has(block)) {
    if (open) this.open.add(block);
    else this.open.delete(block);
    this.layOut();
  }

  openAll(open) {
    this.open = open ? new Set(this.launch.blocks.map((block) => block.number)) : new Set();
    this.layOut();
  }

  // Opens a block and scrolls to it.
  reveal(block) {
    this.toggle(block, true);
    const row = this.rowOfBlock.get(block);
    const top = this.stage.getBoundingClientRect().top + window.scrollY + row.y;
    window.scrollTo({ top: top - this.stickyTop() - 8, behavior: "auto" });
  }

  stickyTop() {
    return parseFloat(getComputedStyle(this.canvas).top) || 0;
  }

  get window() {
    return { ...this.range, width: this.width };
  }

  get width() {
    return this.stage.clientWidth;
  }

  setRange(begin, end) {
    const total = this.launch.total_ps;
    const length = Math.min(total, Math.max(MIN_SPAN_PS, end - begin));
    begin = Math.max(0, Math.min(begin, total - length));
    this.range = { begin, end: begin + length };
    this.changed();
  }

  zoom(factor, at = (this.range.begin + this.range.end) / 2) {
    const { begin, end } = this.range;
    const length = Math.min(this.launch.total_ps, Math.max(MIN_SPAN_PS, (end - begin) * factor));
    const share = (at - begin) / (end - begin);
    this.setRange(at - length * share, at + length * (1 - share));
  }

  pan(share) {
    const step = (this.range.end - this.range.begin) * share;
    this.setRange(this.range.begin + step, this.range.end + step);
  }

  fit() {
    this.setRange(0, this.launch.total_ps);
  }

  zoomTo(item) {
    const { begin, end } = this.timesOf(item);
    const room = Math.max(20000, (end - begin) * 1.5);
    this.setRange(begin - room, end + room);
  }

  timesOf({ lane, kind, index }) {
    const sequence = kind === "span" ? lane.spans : lane[kind];
    return { begin: sequence.begin[index], end: sequence.end[index] };
  }

  select(item, { follow = false } = {}) {
    this.selected = item;
    if (item && follow) {
      this.open.has(item.lane.block) || this.toggle(item.lane.block, true);
      const { begin, end } = this.timesOf(item);
      if (begin < this.range.begin || end > this.range.end) {
        const half = Math.max((this.range.end - this.range.begin) / 2, (end - begin) * 1.2);
        this.setRange((begin + end) / 2 - half, (begin + end) / 2 + half);
      }
      const row = this.rowOfLane.get(item.lane.index);
      const y = this.stage.getBoundingClientRect().top + row.y;
      if (y < this.stickyTop() || y + row.h > innerHeight * 0.58) {
        window.scrollBy({ top: y - this.stickyTop() - 60, behavior: "auto" });
      }
    }
    this.markLane();
    this.changed();
  }

  markLane() {
    for (const row of this.rows) {
      row.label.classList.toggle("selected", row.lane !== undefined && row.lane === this.selected?.lane);
    }
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  changed() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.draw();
      for (const listener of this.listeners) listener(this);
    });
  }

  // The canvas sticks below the ruler; offset is how far the rows have scrolled under it.
  placeCanvas() {
    const height = Math.max(60, Math.min(this.height, innerHeight - this.stickyTop()));
    const ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(this.width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      [this.canvas.width, this.canvas.height] = [w, h];
      this.canvas.style.height = `${height}px`;
    }
    const offset = this.canvas.getBoundingClientRect().top - this.stage.getBoundingClientRect().top;
    return { height, ratio, offset: Math.max(0, offset) };
  }

  draw() {
    const { height, ratio, offset } = this.placeCanvas();
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = this.palette.card;
    ctx.fillRect(0, 0, this.width, height);
    ctx.textBaseline = "middle";
    ctx.translate(0, -offset);
    this.visible = { top: offset, bottom: offset + height };
    this.drawGrid(ctx);
    for (const row of this.rows) {
      if (row.y + row.h < offset || row.y > offset + height) continue;
      if (row.kind === "block") this.drawBlock(ctx, row);
      else drawLane(ctx, row.lane, { y: row.y + 2, h: row.h - 4 }, this.window, this.palette, this.look(true));
    }
    this.drawMarks(ctx);
    Object.assign(this.canvas.dataset, { beginPs: this.range.begin, endPs: this.range.end });
  }

  look(labels) {
    return {
      labels, matches: this.matches?.lanes, insns: this.launch.insns, causes: this.causes,
      total: this.launch.total_ps,
    };
  }

  drawGrid(ctx) {
    ctx.fillStyle = this.palette.grid;
    const scale = this.width / (this.range.end - this.range.begin);
    for (const tick of ticksOf(this.range, this.width).times) {
      ctx.fillRect(Math.round((tick - this.range.begin) * scale), this.visible.top, 1, this.visible.bottom - this.visible.top);
    }
  }

  // A strip per kind of core: its busiest pipe, and what that waits for.
  drawBlock(ctx, { block, y, h }) {
    ctx.fillStyle = this.palette.grid;
    ctx.fillRect(0, y, this.width, 1);
    if (this.open.has(block.number)) return; // its lanes follow
    const strips = this.stripsOf(block);
    const height = Math.min(11, (h - 6 - STRIP_GAP * (strips.length - 1)) / strips.length);
    let top = y + (h - (height * strips.length + STRIP_GAP * (strips.length - 1))) / 2;
    for (const lane of strips) {
      drawLane(ctx, lane, { y: top, h: height }, this.window, this.palette, this.look(false));
      top += height + STRIP_GAP;
    }
  }

  stripsOf(block) {
    const main = this.launch.mainPipes;
    return block.lanes.filter((lane) => lane.pipe === main[lane.kind] && lane.role < 2);
  }

  drawMarks(ctx) {
    const { arrowMode, launch, palette } = this;
    const middle = (lane) => this.middleOf(lane);
    if (arrowMode === "all") {
      const list = arrowsInView(launch, this.range, middle, this.visible);
      this.tooManyArrows = list === null;
      if (list) drawArrows(ctx, launch, list, this.window, middle, palette, false);
    } else {
      this.tooManyArrows = false;
    }
    for (const item of new Set([this.selected, this.hovered])) {
      if (!item || item.kind === "heat") continue;
      this.drawFrame(ctx, item, item === this.selected);
      if (arrowMode === "none") continue;
      const { incoming, outgoing } = arrowsOf(launch, item);
      drawArrows(ctx, launch, [...incoming, ...outgoing].slice(0, 60), this.window, middle, palette, true);
    }
    if (this.band) {
      const scale = this.width / (this.range.end - this.range.begin);
      ctx.globalAlpha = 0.18;
      ctx.fillStyle = palette.accent;
      const [a, b] = this.band.map((time) => (time - this.range.begin) * scale);
      ctx.fillRect(Math.min(a, b), this.visible.top, Math.abs(b - a), this.visible.bottom - this.visible.top);
      ctx.globalAlpha = 1;
    }
  }

  drawFrame(ctx, item, strong) {
    const row = this.rowOfLane.get(item.lane.index);
    if (!row) return;
    const { begin, end } = this.timesOf(item);
    const scale = this.width / (this.range.end - this.range.begin);
    const x = (begin - this.range.begin) * scale;
    ctx.strokeStyle = this.palette.ink;
    ctx.lineWidth = strong ? 2 : 1.2;
    ctx.strokeRect(x - 1, row.y + 1, Math.max(2, (end - begin) * scale) + 2, row.h - 2);
  }

  middleOf(lane) {
    const row = this.rowOfLane.get(lane.index) ?? this.rowOfBlock.get(lane.block);
    return row.y + row.h / 2;
  }

  timeAt(x) {
    return this.range.begin + (x / this.width) * (this.range.end - this.range.begin);
  }

  // What lies under a point of the canvas: {lane, kind, index}, or null.
  itemAt(x, y) {
    const content = y + (this.visible?.top ?? 0);
    const row = this.rows.find((r) => content >= r.y && content < r.y + r.h);
    if (!row) return null;
    let lane = row.lane;
    if (!lane) {
      const strips = this.stripsOf(row.block);
      lane = strips[Math.min(strips.length - 1, Math.floor(((content - row.y) / row.h) * strips.length))];
      if (!lane) return null;
    }
    const time = this.timeAt(x);
    if (time >= lane.until) return { lane, kind: "heat", index: Math.floor((time / this.launch.total_ps) * lane.heat.length) };
    const slack = ((this.range.end - this.range.begin) / this.width) * 2.5;
    for (const [kind, sequence, reach] of [
      ["span", lane.spans, 0], ["slowed", lane.slowed, 0], ["stalls", lane.stalls, 0], ["span", lane.spans, slack],
    ]) {
      const index = intervalAt(sequence, time, reach);
      if (index >= 0) return { lane, kind, index };
    }
    return null;
  }
}

// Round times about 110 pixels apart.
function ticksOf({ begin, end }, width) {
  const rough = ((end - begin) / Math.max(1, width)) * 110;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const times = [];
  for (let time = Math.ceil(begin / step) * step; time <= end; time += step) times.push(time);
  return { step, times };
}
