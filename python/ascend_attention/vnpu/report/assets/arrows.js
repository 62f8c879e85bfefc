// SPDX-License-Identifier: Apache-2.0
// Flags as arrows, from the pipe that sets one to the pipe that waited for it.

// More at once would be a carpet; the range line says so then.
const MAX_ARROWS = 1200;

const isSync = (name) => /flag|ffts|barrier|^dsb|^dcci/.test(name);

// Flags that belong to an interval: those that let it begin, and those set right after it.
function arrowsOf(launch, item) {
  const { lane, kind, index } = item;
  const { arrows, insns } = launch;
  const spans = lane.spans;
  let from;
  let to;
  if (kind === "span") {
    let before = index - 1;
    while (before >= 0 && isSync(insns[spans.insn[before]])) --before;
    let after = index + 1;
    while (after < spans.n && isSync(insns[spans.insn[after]])) ++after;
    from = before >= 0 ? spans.end[before] : 0;
    to = after < spans.n ? spans.begin[after] : Infinity;
  } else {
    [from, to] = [lane[kind].begin[index], lane[kind].end[index]];
  }
  const begin = lane[kind === "span" ? "spans" : kind].begin[index];
  const end = lane[kind === "span" ? "spans" : kind].end[index];
  const slack = 2000; // a wait_flag of its own, behind the wait
  return {
    incoming: lane.arrowsIn.filter((i) => arrows.end[i] >= from && arrows.end[i] <= Math.max(begin, kind === "span" ? begin : end) + slack),
    outgoing: kind === "span" ? lane.arrowsOut.filter((i) => arrows.begin[i] >= begin && arrows.begin[i] <= Math.max(to, end)) : [],
  };
}

// Those that show: their time and one of their rows in view, and not inside a closed block. Null
// if there are too many.
function arrowsInView(launch, window, middleOf, { top, bottom }) {
  const { arrows, lanes } = launch;
  const last = countUpTo(arrows.begin, window.end);
  const rows = lanes.map(middleOf);
  const found = [];
  for (let i = 0; i < last; ++i) {
    if (arrows.end[i] < window.begin) continue;
    const [from, to] = [rows[arrows.from[i]], rows[arrows.to[i]]];
    if (from === to || Math.max(from, to) < top || Math.min(from, to) > bottom) continue;
    found.push(i);
    if (found.length > MAX_ARROWS) return null;
  }
  return found;
}

// True if the waiting pipe stood still for this flag; others had been set long before.
function endedAWait(launch, i) {
  const { arrows, lanes } = launch;
  const { stalls } = lanes[arrows.to[i]];
  const wait = intervalAt(stalls, arrows.end[i] - 1, 0);
  return wait >= 0 && stalls.from[wait] === arrows.from[i];
}

function drawArrows(ctx, launch, list, window, middleOf, palette, strong) {
  const scale = window.width / (window.end - window.begin);
  const { arrows } = launch;
  for (const i of list) {
    const from = middleOf(launch.lanes[arrows.from[i]]);
    const to = middleOf(launch.lanes[arrows.to[i]]);
    if (from === to) continue; // both inside a closed block
    const x0 = (arrows.begin[i] - window.begin) * scale;
    const x1 = (arrows.end[i] - window.begin) * scale;
    drawArrow(ctx, x0, from, x1, to, {
      colour: arrows.crossCore[i] ? palette.value("cross_core") : palette.ink,
      halo: palette.card,
      dashed: arrows.crossCore[i] === 1,
      strength: strong ? 1 : endedAWait(launch, i) ? 0.75 : 0.13,
    });
  }
}

function drawArrow(ctx, x0, y0, x1, y1, { colour, halo, dashed, strength }) {
  const bend = Math.max(10, Math.min(60, Math.abs(x1 - x0) / 2 + 8));
  const path = new Path2D();
  path.moveTo(x0, y0);
  path.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1 - 3, y1);
  const strong = strength === 1;
  ctx.lineCap = "round";
  if (strong) {
    ctx.strokeStyle = halo;
    ctx.lineWidth = 4;
    ctx.setLineDash([]);
    ctx.stroke(path);
  }
  ctx.globalAlpha = strength;
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = strong ? 1.7 : 1;
  ctx.setLineDash(dashed ? [5, 3] : []);
  ctx.stroke(path);
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(x1 + 1, y1);
  ctx.lineTo(x1 - 6, y1 - 3.6);
  ctx.lineTo(x1 - 6, y1 + 3.6);
  ctx.closePath();
  ctx.fill();
  ctx.beginPath();
  ctx.arc(x0, y0, strong ? 2.4 : 1.6, 0, 7);
  ctx.fill();
  ctx.globalAlpha = 1;
}
