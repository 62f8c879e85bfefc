// SPDX-License-Identifier: Apache-2.0
// Draws the intervals of one lane into a stretch of canvas. Few intervals are drawn one by one;
// where many fall on a pixel, the pixel shows the share of its time that they cover. Either way the
// cost depends on the pixels, not on the length of the launch.

// More intervals than this per pixel of width are drawn as load, not one by one.
const MAX_PER_PIXEL = 1.5;
const SHADES = 24;
const LABEL_FONT = "10.5px system-ui, 'DejaVu Sans', sans-serif";

class Palette {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    this.value = (name) => style.getPropertyValue(`--${name}`).trim();
    this.patterns = new Map();
    for (const name of ["card", "ink", "muted", "faint", "line", "grid", "accent", "match", "idle", "sunken"]) {
      this[name] = this.value(name);
    }
  }

  work(pipe) {
    return this.cached(`work ${pipe}`, () => this.value(pipe));
  }

  label(pipe) {
    return this.cached(`label ${pipe}`, () => this.value(`on-${pipe}`));
  }

  // Plain for most causes; hatched where a second mark helps to tell neighbours apart.
  wait(cause) {
    return this.cached(cause, () => {
      const colour = this.value(cause);
      const kind = { cross_core: "/", barrier: "|" }[cause];
      return kind ? this.hatch(colour, kind, 1) : colour;
    });
  }

  // A transfer that is slowed: the colour of its pipe, hatched.
  slowed(pipe, cause) {
    return this.cached(`${cause} ${pipe}`, () => this.hatch(this.work(pipe), cause === "l2" ? "\\" : "/", 0.38));
  }

  cached(key, build) {
    if (!this.patterns.has(key)) this.patterns.set(key, build());
    return this.patterns.get(key);
  }

  hatch(colour, kind, ground) {
    const tile = make("canvas", { width: 6, height: 6 });
    const ctx = tile.getContext("2d");
    ctx.globalAlpha = ground;
    ctx.fillStyle = colour;
    ctx.fillRect(0, 0, 6, 6);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = ground === 1 ? this.card : colour;
    ctx.lineWidth = ground === 1 ? 1.3 : 1.6;
    ctx.beginPath();
    const lines = {
      "/": [[-1, 7, 7, -1], [-4, 4, 4, -4], [2, 10, 10, 2]],
      "\\": [[-1, -1, 7, 7], [-4, 2, 4, 10], [2, -4, 10, 4]],
      "|": [[2, 0, 2, 6]],
    }[kind];
    for (const [x0, y0, x1, y1] of lines) {
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
    }
    ctx.stroke();
    return ctx.createPattern(tile, "repeat");
  }
}

// Calls paint(x, width, opacity, index) along a sequence; index is -1 where a pixel holds several.
function eachPiece(sequence, window, paint) {
  const { begin: t0, end: t1, width } = window;
  const scale = width / (t1 - t0);
  let first = countUpTo(sequence.begin, t0);
  if (first > 0 && sequence.end[first - 1] > t0) --first;
  const last = countUpTo(sequence.begin, t1);
  if (last - first <= width * MAX_PER_PIXEL) {
    for (let i = first; i < last; ++i) {
      const x0 = Math.max(0, (sequence.begin[i] - t0) * scale);
      const x1 = Math.min(width, (sequence.end[i] - t0) * scale);
      paint(x0, Math.max(x1 - x0, 0.7), 1, i);
    }
    return;
  }
  paintLoad(sequence, window, paint);
}

// Pixel by pixel, with neighbours of the same shade as one piece.
function paintLoad(sequence, { begin: t0, end: t1, width }, paint) {
  const scale = width / (t1 - t0);
  let begun = countUpTo(sequence.begin, t0);
  let before = coveredBefore(sequence, t0, begun);
  let runStart = 0;
  let runShade = 0;
  for (let x = 0; x <= width; ++x) {
    const time = t0 + Math.min(width, x + 1) / scale;
    begun = countOnwards(sequence.begin, time, begun);
    const after = coveredBefore(sequence, time, begun);
    const share = Math.min(1, (after - before) * scale);
    // At least a hint where anything is, so that rare short work is not lost.
    const shade = share > 0 ? Math.max(1, Math.round(share * SHADES)) : 0;
    if (shade !== runShade || x === width) {
      if (runShade) paint(runStart, x - runStart, (runShade / SHADES) ** 0.65, -1);
      [runStart, runShade] = [x, shade];
    }
    before = after;
  }
}

function drawWork(ctx, lane, box, window, palette, look) {
  const colour = palette.work(lane.pipeName);
  ctx.fillStyle = colour;
  eachPiece(lane.spans, window, (x, width, share, index) => {
    ctx.globalAlpha = share;
    // A hair of background keeps neighbours apart once they are wide enough to lose it.
    ctx.fillRect(x, box.y, width > 3 && index >= 0 ? width - 0.6 : width, box.h);
    if (index >= 0 && width > 34 && look.labels) {
      drawLabel(ctx, look.insns[lane.spans.insn[index]], x, width, box, palette.label(lane.pipeName));
      ctx.fillStyle = colour;
    }
  });
  ctx.globalAlpha = 1;
}

function drawLabel(ctx, text, x, width, box, colour) {
  ctx.globalAlpha = 1;
  ctx.fillStyle = colour;
  ctx.font = LABEL_FONT;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, box.y, width - 4, box.h);
  ctx.clip();
  ctx.fillText(text, x + 4, box.y + box.h / 2 + 0.5);
  ctx.restore();
}

function drawSlowed(ctx, lane, box, window, palette, look) {
  eachPiece(lane.slowed, window, (x, width, share, index) => {
    const cause = look.causes[lane.slowed.cause[index >= 0 ? index : 0]];
    ctx.globalAlpha = share;
    ctx.fillStyle = palette.slowed(lane.pipeName, cause);
    ctx.fillRect(x, box.y, width, box.h);
  });
  ctx.globalAlpha = 1;
}

// Waits are a thin line, work is a full lane: what is busy stands out.
function drawStalls(ctx, lane, box, window, palette, look) {
  const height = Math.max(2, Math.round(box.h * 0.22));
  const y = box.y + Math.round((box.h - height) / 2);
  const perPixel = (window.end - window.begin) / window.width;
  eachPiece(lane.stalls, window, (x, width, share, index) => {
    ctx.globalAlpha = share;
    if (index >= 0) {
      ctx.fillStyle = palette.wait(look.causes[lane.stalls.cause[index]]);
      ctx.fillRect(x, y, width, height);
      return;
    }
    let begun = countUpTo(lane.stalls.begin, window.begin + x * perPixel);
    for (let column = 0; column < width; ++column) {
      const from = window.begin + (x + column) * perPixel;
      begun = countOnwards(lane.stalls.begin, from, begun);
      ctx.fillStyle = palette.wait(look.causes[longestCause(lane.stalls, begun, from, from + perPixel)]);
      ctx.fillRect(x + column, y, 1, height);
    }
  });
  ctx.globalAlpha = 1;
}

// The cause of the longest of the first waits in a pixel; eight are enough for a colour.
function longestCause(stalls, begun, from, to) {
  let i = Math.max(0, begun - 1);
  let best = i;
  let length = -1;
  for (const stop = Math.min(stalls.n, i + 8); i < stop && stalls.begin[i] < to; ++i) {
    const part = Math.min(stalls.end[i], to) - Math.max(stalls.begin[i], from);
    if (part > length) [best, length] = [i, part];
  }
  return stalls.cause[best];
}

// Where a lane came without its instructions: its load over time.
function drawHeat(ctx, lane, box, window, palette, total) {
  const cells = lane.heat.length;
  const scale = window.width / (window.end - window.begin);
  ctx.fillStyle = palette.work(lane.pipeName);
  for (let cell = 0; cell < cells; ++cell) {
    const [x0, x1] = [cell, cell + 1].map((edge) => Math.round(((edge * total) / cells - window.begin) * scale));
    const known = ((cell + 1) * total) / cells <= lane.until;
    if (x1 < 0 || x0 > window.width || !lane.heat[cell] || known) continue;
    ctx.globalAlpha = lane.heat[cell] / 255;
    ctx.fillRect(x0, box.y, x1 - x0, box.h);
  }
  ctx.globalAlpha = 1;
}

// Load alone, where rows are too thin for anything else.
function drawLoad(ctx, lane, box, window, palette, total) {
  if (lane.heat) drawHeat(ctx, lane, box, window, palette, total);
  if (lane.until <= window.begin) return;
  ctx.fillStyle = palette.work(lane.pipeName);
  const perPixel = (window.end - window.begin) / window.width;
  const sequences = [lane.spans, lane.slowed];
  const begun = sequences.map((sequence) => countUpTo(sequence.begin, window.begin));
  const covered = (time) => sequences.reduce((sum, sequence, i) => {
    begun[i] = countOnwards(sequence.begin, time, begun[i]);
    return sum + coveredBefore(sequence, time, begun[i]);
  }, 0);
  let before = covered(window.begin);
  for (let x = 0; x < window.width; ++x) {
    const after = covered(window.begin + (x + 1) * perPixel);
    ctx.globalAlpha = Math.min(1, (after - before) / perPixel);
    ctx.fillRect(x, box.y, 1, box.h);
    before = after;
  }
  ctx.globalAlpha = 1;
}

function drawLane(ctx, lane, box, window, palette, look) {
  if (lane.heat) drawHeat(ctx, lane, box, window, palette, look.total);
  if (lane.until <= window.begin) return;
  drawStalls(ctx, lane, box, window, palette, look);
  drawSlowed(ctx, lane, box, window, palette, look);
  drawWork(ctx, lane, box, window, palette, look);
  if (look.matches) drawMatches(ctx, look.matches.get(lane.index), box, window, palette);
}

// Found instructions over a veil on everything else.
function drawMatches(ctx, matches, box, window, palette) {
  ctx.globalAlpha = 0.78;
  ctx.fillStyle = palette.card;
  ctx.fillRect(0, box.y - 1, window.width, box.h + 2);
  ctx.fillStyle = palette.match;
  eachPiece(matches, window, (x, width, share) => {
    ctx.globalAlpha = Math.max(0.35, share);
    ctx.fillRect(x, box.y, Math.max(1, width), box.h);
  });
  ctx.globalAlpha = 1;
}
