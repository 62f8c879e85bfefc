// SPDX-License-Identifier: Apache-2.0
// Reads what page_data.py wrote, and cuts it into lanes. Times are picoseconds in doubles, which
// hold them exactly for two hours.
//
// A sequence is {n, begin, end, sum}: intervals of one lane in order of time; sum[i] is the time
// that the first i of them cover, so that the load of any stretch is known in two searches.

async function readData() {
  if (!("DecompressionStream" in window)) {
    throw new Error("this browser is too old to unpack the data (it lacks DecompressionStream)");
  }
  const text = document.getElementById("data").textContent.trim();
  const packed = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = new DataView(raw.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + size)));
  const columns = raw.subarray(4 + size);
  header.launches = header.launches.map((launch) => makeLaunch(launch, header, columns));
  return header;
}

function column(bytes, [offset, count, width]) {
  const out = width <= 4 ? new Uint32Array(count) : new Float64Array(count);
  for (let plane = 0, scale = 1; plane < width; ++plane, scale *= 256) {
    const base = offset + plane * count;
    for (let i = 0; i < count; ++i) out[i] += bytes[base + i] * scale;
  }
  return out;
}

function columnsOf(bytes, table) {
  return Object.fromEntries(Object.entries(table).map(([name, at]) => [name, column(bytes, at)]));
}

// Causes that do not stop a pipe: its transfer takes longer.
const isSlowing = (cause) => cause === "hbm" || cause === "l2";

function makeSequence(begin, end) {
  const n = begin.length;
  const sum = new Float64Array(n + 1);
  for (let i = 0; i < n; ++i) sum[i + 1] = sum[i] + (end[i] - begin[i]);
  return { n, begin, end, sum };
}

// Times from distances, per lane; [begin, end] of all rows and the first row of each lane.
function lanesInTime({ per_lane: perLane, begin: steps, length }) {
  const begin = new Float64Array(steps.length);
  const end = new Float64Array(steps.length);
  const first = [0];
  let row = 0;
  for (const count of perLane) {
    let time = 0;
    for (const stop = row + count; row < stop; ++row) {
      time += steps[row];
      begin[row] = time;
      end[row] = time + length[row];
    }
    first.push(row);
  }
  return { begin, end, first };
}

function makeLaunch(launch, header, bytes) {
  const spans = columnsOf(bytes, launch.spans);
  const waits = columnsOf(bytes, launch.waits);
  const spanTimes = lanesInTime(spans);
  const waitTimes = lanesInTime(waits);
  const shown = new Set(launch.shown_blocks);
  launch.lanes = launch.lanes.map(([block, role, pipe], index) => {
    const lane = {
      index, block, role, pipe,
      pipeName: header.pipes[pipe],
      roleName: header.roles[role],
      kind: role === 0 ? "AIC" : "AIV",
      busy_ps: launch.busy_ps[index],
      wait_ps: launch.wait_ps[index],
      // Instructions are here up to then; behind it, and for other blocks, only the load is.
      until: shown.has(block) ? launch.shown_until_ps ?? Infinity : 0,
    };
    lane.name = `block ${block} ${lane.roleName} ${lane.pipeName}`;
    lane.spans = laneSpans(spans, spanTimes, index);
    Object.assign(lane, laneWaits(waits, waitTimes, index, header.causes));
    if (launch.heat[index]) lane.heat = column(bytes, launch.heat[index]);
    return lane;
  });
  launch.arrows = makeArrows(columnsOf(bytes, launch.arrows), launch.lanes);
  const numbers = [...new Set(launch.lanes.map((lane) => lane.block))].sort((a, b) => a - b);
  launch.blocks = numbers.map((number) => ({
    number,
    lanes: launch.lanes.filter((lane) => lane.block === number).sort(alongTheData),
    working_ps: launch.working_ps[number],
  }));
  launch.mainPipes = mainPipes(launch, header);
  return launch;
}

// Lanes from top to bottom: the scalar unit, then the way that data takes.
const FLOW = ["S", "MTE2", "MTE1", "M", "V", "FIX", "MTE3"];
const alongTheData = (a, b) => a.role - b.role || FLOW.indexOf(a.pipeName) - FLOW.indexOf(b.pipeName);

function laneSpans(spans, times, lane) {
  const [from, to] = [times.first[lane], times.first[lane + 1]];
  const sequence = makeSequence(times.begin.subarray(from, to), times.end.subarray(from, to));
  for (const name of ["tail", "bytes", "site", "insn"]) sequence[name] = spans[name].subarray(from, to);
  return sequence;
}

// Waits in which a pipe stands still, and those in which a transfer is slowed, apart.
function laneWaits(waits, times, lane, causes) {
  const pick = (wanted) => {
    const rows = [];
    for (let i = times.first[lane]; i < times.first[lane + 1]; ++i) {
      if (wanted(causes[waits.cause[i]])) rows.push(i);
    }
    const sequence = makeSequence(
      Float64Array.from(rows, (i) => times.begin[i]), Float64Array.from(rows, (i) => times.end[i]));
    for (const name of ["cause", "site", "from"]) {
      sequence[name] = Uint32Array.from(rows, (i) => waits[name][i]);
    }
    return sequence;
  };
  return {
    slowed: pick(isSlowing),
    stalls: pick((cause) => !isSlowing(cause) && cause !== "launch" && cause !== "done"),
  };
}

function makeArrows(rows, lanes) {
  const n = rows.begin.length;
  const begin = new Float64Array(n);
  const end = new Float64Array(n);
  for (let i = 0, time = 0; i < n; ++i) {
    time += rows.begin[i];
    begin[i] = time;
    end[i] = time + rows.length[i];
  }
  const arrows = { n, begin, end, from: rows.from, to: rows.to, id: rows.id, crossCore: rows.cross_core };
  for (const lane of lanes) [lane.arrowsOut, lane.arrowsIn] = [[], []];
  for (let i = 0; i < n; ++i) {
    lanes[arrows.from[i]].arrowsOut.push(i);
    lanes[arrows.to[i]].arrowsIn.push(i);
  }
  for (const lane of lanes) lane.arrowsIn.sort((a, b) => end[a] - end[b]);
  return arrows;
}

// The pipe that works most, of each kind of core: a block's strip while it is closed. The scalar
// unit only where there is no other.
function mainPipes(launch, header) {
  const slow = header.causes.flatMap((cause, i) => (isSlowing(cause) ? [i] : []));
  const best = {};
  for (const kind of ["AIC", "AIV"]) {
    const load = new Map();
    for (const lane of launch.lanes) {
      if (lane.kind !== kind) continue;
      const time = lane.busy_ps + slow.reduce((sum, cause) => sum + lane.wait_ps[cause], 0);
      load.set(lane.pipe, (load.get(lane.pipe) ?? 0) + (lane.pipeName === "S" ? 0 : time));
    }
    if (load.size) best[kind] = [...load].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  }
  return best;
}

// The number of values <= limit of a sorted array.
function countUpTo(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The same for a limit not below an earlier one of which `count` was the answer: steps that double.
function countOnwards(sorted, limit, count) {
  let step = 1;
  while (count + step <= sorted.length && sorted[count + step - 1] <= limit) {
    count += step;
    step *= 2;
  }
  for (; step >= 1; step >>= 1) {
    if (count + step <= sorted.length && sorted[count + step - 1] <= limit) count += step;
  }
  return count;
}

// Time before `time` that a sequence covers; `begun` intervals of it begin up to then.
function coveredBefore(sequence, time, begun = countUpTo(sequence.begin, time)) {
  if (begun === 0) return 0;
  return sequence.sum[begun] - Math.max(0, sequence.end[begun - 1] - time);
}

// Index of the interval that holds `time`, or the nearest within `slack` of it; -1 for none.
function intervalAt(sequence, time, slack) {
  const i = countUpTo(sequence.begin, time) - 1;
  if (i >= 0 && sequence.end[i] > time) return i;
  let best = -1;
  let distance = slack;
  if (i >= 0 && time - sequence.end[i] <= distance) [best, distance] = [i, time - sequence.end[i]];
  if (i + 1 < sequence.n && sequence.begin[i + 1] - time < distance) best = i + 1;
  return best;
}
