// SPDX-License-Identifier: Apache-2.0
// Above the lanes: all blocks over the whole launch with the shown part marked, and the time axis.

const MINIMAP_HEIGHT = 44;
const AXIS_HEIGHT = 26;
const GRIP = 7;

class Overview {
  constructor(view) {
    this.view = view;
    this.minimap = byId("minimap");
    this.axis = byId("axis");
    this.picture = document.createElement("canvas");
    this.drag = null;
    view.onChange(() => this.draw());
  }

  prepare(canvas, height) {
    const ratio = devicePixelRatio || 1;
    const width = this.view.width;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    return ctx;
  }

  // The blocks of a launch do not change, so they are drawn once for a width.
  drawBlocks() {
    const { view } = this;
    const key = [view.launch, view.palette, view.width, devicePixelRatio];
    if (this.pictureKey?.every((part, i) => part === key[i])) return;
    this.pictureKey = key;
    const ctx = this.prepare(this.picture, MINIMAP_HEIGHT);
    const lanes = view.launch.blocks.map((block) => view.stripsOf(block)[0]).filter(Boolean);
    const height = (MINIMAP_HEIGHT - 4) / Math.max(1, lanes.length);
    const window = { begin: 0, end: view.launch.total_ps, width: view.width };
    lanes.forEach((lane, i) => {
      const gap = height > 3 ? 0.6 : 0;
      drawLoad(ctx, lane, { y: 2 + i * height, h: height - gap }, window, view.palette, view.launch.total_ps);
    });
  }

  draw() {
    this.drawBlocks();
    const { view } = this;
    const ctx = this.prepare(this.minimap, MINIMAP_HEIGHT);
    ctx.fillStyle = view.palette.sunken;
    ctx.fillRect(0, 0, view.width, MINIMAP_HEIGHT);
    ctx.drawImage(this.picture, 0, 0, view.width, MINIMAP_HEIGHT);
    const [x0, x1] = this.edges();
    ctx.fillStyle = view.palette.card;
    ctx.globalAlpha = 0.72;
    ctx.fillRect(0, 0, x0, MINIMAP_HEIGHT);
    ctx.fillRect(x1, 0, view.width - x1, MINIMAP_HEIGHT);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = view.palette.accent;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(x0 + 0.75, 0.75, Math.max(2, x1 - x0 - 1.5), MINIMAP_HEIGHT - 1.5);
    ctx.fillStyle = view.palette.accent;
    for (const x of [x0, x1 - 3]) ctx.fillRect(x, MINIMAP_HEIGHT / 2 - 7, 3, 14);
    this.drawAxis();
  }

  drawAxis() {
    const { view } = this;
    const ctx = this.prepare(this.axis, AXIS_HEIGHT);
    const { step, times } = ticksOf(view.range, view.width);
    const scale = view.width / (view.range.end - view.range.begin);
    const decimals = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step) + 1e-9)));
    ctx.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    ctx.textBaseline = "middle";
    times.forEach((time) => {
      const x = Math.round((time - view.range.begin) * scale);
      ctx.fillStyle = view.palette.faint;
      ctx.fillRect(x, AXIS_HEIGHT - 6, 1, 6);
      const text = `${(time / 1e6).toFixed(decimals)} µs`;
      if (x + 6 + ctx.measureText(text).width > view.width) return;
      ctx.fillStyle = view.palette.muted;
      ctx.fillText(text, x + 4, AXIS_HEIGHT / 2);
    });
  }

  edges() {
    const { range, launch, width } = this.view;
    return [range.begin, range.end].map((time) => (time / launch.total_ps) * width);
  }

  timeAt(x) {
    return (Math.max(0, Math.min(this.view.width, x)) / this.view.width) * this.view.launch.total_ps;
  }

  // Edges resize, the middle moves, elsewhere a new part is drawn.
  listen() {
    const canvas = this.minimap;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      const x = event.offsetX;
      const [x0, x1] = this.edges();
      const whole = x1 - x0 >= this.view.width - 1;
      if (Math.abs(x - x0) < GRIP && !whole) this.drag = { fixed: this.timeAt(x1) };
      else if (Math.abs(x - x1) < GRIP && !whole) this.drag = { fixed: this.timeAt(x0) };
      else if (x > x0 && x < x1 && !whole) this.drag = { hold: this.timeAt(x) - this.view.range.begin };
      else this.drag = { fixed: this.timeAt(x), fresh: x };
    });
    canvas.addEventListener("pointermove", (event) => this.dragTo(event.offsetX));
    const stop = () => (this.drag = null);
    canvas.addEventListener("pointerup", stop);
    canvas.addEventListener("pointercancel", stop);
    canvas.addEventListener("dblclick", () => this.view.fit());
  }

  dragTo(x) {
    const { drag, view } = this;
    if (!drag) {
      const [x0, x1] = this.edges();
      const near = Math.min(Math.abs(x - x0), Math.abs(x - x1)) < GRIP;
      this.minimap.style.cursor = near ? "ew-resize" : x > x0 && x < x1 && x1 - x0 < view.width - 1 ? "grab" : "crosshair";
      return;
    }
    if (drag.fresh !== undefined && Math.abs(x - drag.fresh) < 3) return;
    const time = this.timeAt(x);
    if (drag.hold !== undefined) {
      const length = view.range.end - view.range.begin;
      view.setRange(time - drag.hold, time - drag.hold + length);
    } else {
      view.setRange(Math.min(time, drag.fixed), Math.max(time, drag.fixed));
    }
  }
}
