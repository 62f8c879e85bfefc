// SPDX-License-Identifier: Apache-2.0
// The three pictures above the timeline: pipes, roofline, blocks.

const WAITS_SHOWN = ["flag", "cross_core", "barrier", "queue_full", "issue", "scalar_gm"];

function drawPipes(figures) {
  const body = make("tbody");
  for (const [name, row] of Object.entries(figures.pipes)) body.append(pipeRow(name, row));
  const head = make("tr", {}, make("th", { scope: "col" }, "pipe"), make("th", { scope: "col" }, "share of the launch"),
    make("th", { class: "number", scope: "col" }, "works"), make("th", { class: "number", scope: "col" }, "waits"));
  byId("pipes").replaceChildren(make("table", { class: "pipe-table" }, make("thead", {}, head), body));
}

function pipeRow(name, row) {
  const pipe = name.split(".")[1];
  const bar = make("div", { class: "bar", role: "img" });
  const add = (share, className, style, text) => {
    if (share < 0.0005) return;
    bar.append(make("i", { class: className, style: `width:${share * 100}%;${style}`, title: `${text}: ${percentText(share)}` }));
  };
  add(row.busy, "work", `background:var(--${pipe})`, "works");
  const hatch = `repeating-linear-gradient(135deg, var(--${pipe}) 0 2px, transparent 2px 4px)`;
  add(row.slowed, "work", `background:${hatch}`, "slowed by shared HBM and L2");
  for (const cause of WAITS_SHOWN) {
    add(row.waits[cause], "", `background:${causeFill(cause)}`, `waits: ${CAUSE_TEXT[cause][0]}`);
  }
  const worst = WAITS_SHOWN.reduce((a, b) => (row.waits[b] > row.waits[a] ? b : a));
  const why = row.waits[worst] > 0.0005 ? `mostly ${CAUSE_TEXT[worst][0]}` : "";
  bar.setAttribute("aria-label", `${name} works ${percentText(row.busy + row.slowed)}, waits ${percentText(row.exposed_wait)} ${why}`);
  return make("tr", {}, make("th", { scope: "row" }, name.replace(".", " ")), make("td", {}, bar),
    make("td", { class: "number" }, percentText(row.busy + row.slowed)),
    make("td", { class: "number", title: why }, percentText(row.exposed_wait)));
}

function causeFill(cause) {
  const marks = { cross_core: "135deg", barrier: "90deg" };
  return marks[cause]
    ? `repeating-linear-gradient(${marks[cause]}, var(--${cause}) 0 3px, var(--card) 3px 4px)`
    : `var(--${cause})`;
}

const PLOT_HEIGHT = 252;
const MARGIN = { left: 38, right: 8, top: 12, bottom: 32 };

// A drawing area as wide as its card, so that text keeps its size.
function makePlot(place, label) {
  const width = Math.max(220, byId(place).clientWidth);
  const plot = {
    width, height: PLOT_HEIGHT, ...MARGIN, right: width - MARGIN.right, bottom: PLOT_HEIGHT - MARGIN.bottom,
    svg: makeSvg("svg", { viewBox: `0 0 ${width} ${PLOT_HEIGHT}`, height: PLOT_HEIGHT, role: "img", "aria-label": label }),
  };
  byId(place).replaceChildren(plot.svg);
  return plot;
}

// Both axes logarithmic; the roofs are the model's ceilings.
function drawRoofline(launches, chosen) {
  const { peak_hbm_bytes_per_s: hbm, peak_flops: flops } = chosen;
  const hint = byId("roofline-hint");
  byId("roofline").replaceChildren();
  if (!hbm || !flops) {
    hint.textContent = "The model names no ceilings for this chip.";
    return;
  }
  const points = launches.filter((launch) => launch.hbm_bytes && launch.mad_flops).map((launch) => ({
    x: launch.mad_flops / launch.hbm_bytes, y: (launch.mad_flops / launch.total_ps) * 1e12,
    roof: Math.min(flops, (launch.mad_flops / launch.hbm_bytes) * hbm), chosen: launch === chosen, name: launch.kernel,
  }));
  hint.textContent = roofHint(points, hbm, flops);
  const plot = makePlot("roofline", hint.textContent);
  const ridge = flops / hbm;
  const decade = (value, round) => 10 ** round(Math.log10(value));
  const lowX = decade(Math.min(1, ...points.map((p) => p.x / 2)), Math.floor);
  const highX = decade(Math.max(ridge * 3, ...points.map((p) => p.x * 2)), Math.ceil);
  const lowY = decade(Math.min(lowX * hbm, ...points.map((p) => p.y / 2)), Math.floor);
  const log = (value, low, high) => Math.log(value / low) / Math.log(high / low);
  plot.x = (value) => plot.left + log(value, lowX, highX) * (plot.right - plot.left);
  plot.y = (value) => plot.bottom - log(value, lowY, flops * 2.2) * (plot.bottom - plot.top);
  drawPlotAxes(plot, { lowX, highX, lowY, highY: flops * 2.2 });
  drawRoofs(plot, lowX, highX, hbm, flops);
  for (const point of points) drawPoint(plot, point);
}

function roofHint(points, hbm, flops) {
  const point = points.find((p) => p.chosen);
  if (!point) return `Ceilings: ${(hbm / 1e12).toFixed(2)} TB/s of HBM, ${(flops / 1e12).toFixed(0)} TFLOPS. This launch has no matrix work on HBM data.`;
  return `${digits(point.x)} flop per byte of HBM traffic; ${percentText(point.y / point.roof)} of the roof above it.`;
}

function drawPlotAxes({ svg, x, y, left, right, top, bottom, height }, { lowX, highX, lowY, highY }) {
  const line = (x1, y1, x2, y2) => svg.append(makeSvg("line", { x1, y1, x2, y2, stroke: "var(--grid)" }));
  const text = (at, content) => svg.append(makeSvg("text", at, content));
  for (let value = lowX; value <= highX * 1.001; value *= 10) {
    line(x(value), top, x(value), bottom);
    text({ x: x(value), y: bottom + 14, "text-anchor": "middle" }, String(+value.toPrecision(3)));
  }
  for (let value = lowY; value <= highY; value *= 10) {
    line(left, y(value), right, y(value));
    text({ x: left - 5, y: y(value) + 4, "text-anchor": "end" }, String(+(value / 1e12).toPrecision(3)));
  }
  text({ x: right, y: height - 3, "text-anchor": "end" }, "flop per HBM byte");
  text({ x: 0, y: height - 3 }, "TFLOPS");
}

function drawRoofs({ svg, x, y, right }, lowX, highX, hbm, flops) {
  const ridge = flops / hbm;
  const line = (x1, y1, x2, y2, stroke) => svg.append(makeSvg("line", {
    x1: x(x1), y1: y(y1), x2: x(x2), y2: y(y2), stroke, "stroke-width": 2, "stroke-linecap": "round",
  }));
  line(lowX, lowX * hbm, ridge, flops, "var(--MTE2)");
  line(ridge, flops, highX, flops, "var(--M)");
  const middle = Math.sqrt(lowX * ridge);
  const slope = Math.atan2(y(flops) - y(lowX * hbm), x(ridge) - x(lowX));
  svg.append(makeSvg("text", {
    transform: `translate(${x(middle) - 4} ${y(middle * hbm) - 6}) rotate(${(slope * 180) / Math.PI})`, "text-anchor": "middle",
  }, `HBM ${(hbm / 1e12).toFixed(2)} TB/s`));
  svg.append(makeSvg("text", { x: right, y: y(flops) - 6, "text-anchor": "end" }, `cube ${(flops / 1e12).toFixed(0)} TFLOPS`));
}

function drawPoint({ svg, x, y, width }, point) {
  const [cx, cy] = [x(point.x), y(point.y)];
  svg.append(makeSvg("line", { x1: cx, x2: cx, y1: cy, y2: y(point.roof), stroke: "var(--ink)", "stroke-width": 1.2, "stroke-dasharray": "2 3" }));
  svg.append(makeSvg("circle", {
    cx, cy, r: point.chosen ? 5.5 : 4, fill: point.chosen ? "var(--cross_core)" : "var(--faint)", stroke: "var(--card)", "stroke-width": 2,
  }, makeSvg("title", {}, point.name)));
  if (!point.chosen) return;
  const left = cx > width * 0.6;
  svg.append(makeSvg("text", { x: cx + (left ? -10 : 10), y: cy + 14, "text-anchor": left ? "end" : "start", class: "strong" }, `${digits(point.y / 1e12)} TFLOPS`));
}

function drawBlocks(launch, figures, onChoose) {
  const times = launch.blocks.map((block) => block.working_ps);
  const highest = Math.max(...times, 1);
  const mean = times.reduce((a, b) => a + b, 0) / Math.max(1, times.length);
  const hint = byId("blocks-hint");
  hint.textContent = `Slowest ${timeText(highest)}, mean ${timeText(mean)}: imbalance ${figures.imbalance.toFixed(3)}. Click a bar to see its lanes.`;
  const plot = makePlot("blocks", hint.textContent);
  const { svg, left, right, bottom, height } = plot;
  plot.y = (time) => bottom - (time / highest) * (bottom - plot.top - 8);
  plot.pitch = (right - left) / launch.blocks.length;
  const every = Math.ceil(24 / plot.pitch);
  launch.blocks.forEach((block, i) => {
    const slowest = block.number === launch.favourites[0] && times.length > 1;
    svg.append(blockBar(plot, block, i, slowest, onChoose));
    if (i % every) return;
    const at = { x: left + (i + 0.5) * plot.pitch, y: bottom + 14, "text-anchor": "middle" };
    svg.append(makeSvg("text", at, String(block.number)));
  });
  svg.append(makeSvg("line", { x1: left, x2: right, y1: plot.y(mean), y2: plot.y(mean), stroke: "var(--ink)", "stroke-dasharray": "4 3" }));
  svg.append(makeSvg("text", { x: left - 5, y: plot.y(mean) + 4, "text-anchor": "end" }, "mean"));
  svg.append(makeSvg("text", { x: right, y: height - 3, "text-anchor": "end" }, "block"));
}

function blockBar({ left, bottom, pitch, y }, block, i, slowest, onChoose) {
  const top = y(block.working_ps);
  const width = Math.max(0.6, Math.min(46, pitch * 0.8));
  const bar = makeSvg("rect", {
    x: left + (i + 0.5) * pitch - width / 2, width, y: top, height: bottom - top, rx: Math.min(2, pitch * 0.2),
    fill: slowest ? "var(--cross_core)" : "var(--MTE2)", style: "cursor:pointer",
  }, makeSvg("title", {}, `block ${block.number}: ${timeText(block.working_ps)}`));
  bar.addEventListener("click", () => onChoose(block.number));
  return bar;
}
