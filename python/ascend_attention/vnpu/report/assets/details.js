// SPDX-License-Identifier: Apache-2.0
// What is known of one interval: in the tooltip under the pointer, and in the panel once chosen.

// [head, swatch, facts as [name, value]] of an interval.
function describe(view, item) {
  const { launch, causes } = view;
  const { lane, kind, index } = item;
  if (kind === "heat") {
    const share = lane.heat[Math.max(0, Math.min(lane.heat.length - 1, index))] / 255;
    return {
      head: `works ${percentText(share)} of this stretch`, swatch: view.palette.work(lane.pipeName), site: "",
      facts: [["lane", lane.name], ["", "here the page holds the load alone, not the instructions"]],
    };
  }
  const { begin, end } = view.timesOf(item);
  const facts = [["lane", lane.name], ["time", `${momentText(begin)} – ${momentText(end)}`], ["length", timeText(end - begin)]];
  if (kind === "span") return describeSpan(view, item, facts, end - begin);
  const sequence = lane[kind];
  const cause = causes[sequence.cause[index]];
  const [name, reason] = CAUSE_TEXT[cause];
  facts.push(["why", reason]);
  if (sequence.from[index] !== lane.index) facts.push(["ended by", launch.lanes[sequence.from[index]].name]);
  return {
    head: kind === "slowed" ? `slowed by ${name}` : `waits: ${name}`,
    swatch: kind === "slowed" ? view.palette.work(lane.pipeName) : view.palette.value(cause),
    site: launch.sites[sequence.site[index]], facts,
  };
}

function describeSpan(view, { lane, index }, facts, length) {
  const { launch } = view;
  const spans = lane.spans;
  if (spans.tail[index]) facts.push(["result", `${timeText(spans.tail[index])} after its end`]);
  const bytes = spans.bytes[index];
  if (bytes) {
    const slow = slowedAfter(lane, index);
    const whole = length + slow;
    facts.push(["bytes", `${transferText(bytes)}${whole ? ` at ${digits(bytes / whole * 1e3)} GB/s` : ""}`]);
    if (slow) facts.push(["slowed", `${timeText(slow)} more, sharing memory with other transfers`]);
  }
  return {
    head: launch.insns[spans.insn[index]], swatch: view.palette.work(lane.pipeName),
    site: launch.sites[spans.site[index]], facts,
  };
}

// The part of a transfer's time that it owes to others: inside it, or right behind it.
function slowedAfter(lane, index) {
  const { slowed, spans } = lane;
  const stop = index + 1 < spans.n ? spans.begin[index + 1] : Infinity;
  let sum = 0;
  for (let i = countUpTo(slowed.begin, spans.begin[index] - 1); i < slowed.n && slowed.begin[i] < stop; ++i) {
    if (slowed.begin[i] >= spans.end[index]) sum += slowed.end[i] - slowed.begin[i];
  }
  return sum;
}

function showTooltip(view, item, x, y) {
  const tip = byId("tooltip");
  tip.hidden = !item;
  if (!item) return;
  const { head, swatch, facts, site } = describe(view, item);
  tip.replaceChildren(make("div", { class: "tip-head", style: `--swatch:${swatch}` }, head));
  for (const [name, value] of facts) {
    tip.append(make("div", { class: "facts" }, name && name !== "lane" && name !== "time" ? `${name}: ${value}` : value));
  }
  const frames = framesElement(site, 3);
  if (frames) tip.append(frames);
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth - 6 ? Math.max(6, x - 16 - width) : x + 16;
  const top = y + 18 + height > innerHeight - 6 ? Math.max(6, y - 14 - height) : y + 18;
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

function showDetails(view) {
  const panel = byId("details");
  const item = view.selected;
  panel.hidden = !item || item.kind === "heat";
  if (panel.hidden) return;
  const { head, swatch, facts, site } = describe(view, item);
  const list = make("dl");
  const add = (name, value) => list.append(make("dt", {}, name), make("dd", {}, value));
  for (const [name, value] of facts) add(name, value);
  const { incoming, outgoing } = arrowsOf(view.launch, item);
  for (const i of incoming.slice(0, 4)) add("after", arrowText(view.launch, i, "from"));
  for (const i of outgoing.slice(0, 4)) add("lets go", arrowText(view.launch, i, "to"));
  const step = (by) => () => stepItem(view, by);
  panel.replaceChildren(
    make("div", { class: "tip-head", style: `--swatch:${swatch}` }, head,
      make("span", { class: "actions" },
        make("button", { onclick: step(-1), title: "Previous of this lane ([)", "aria-label": "Previous" }, "‹"),
        make("button", { onclick: step(1), title: "Next of this lane (])", "aria-label": "Next" }, "›"),
        make("button", { onclick: () => view.zoomTo(item), title: "F" }, "Zoom to it"),
        make("button", { onclick: () => view.select(null), title: "Esc", "aria-label": "Close" }, "×"))),
    make("div", { class: "columns" }, list, framesElement(site, 12, true) ?? ""));
  keepClear(view, panel);
}

// The panel lies at the bottom, or at the top where it would cover the chosen lane.
function keepClear(view, panel) {
  const row = view.rowOfLane.get(view.selected.lane.index) ?? view.rowOfBlock.get(view.selected.lane.block);
  const bottom = view.stage.getBoundingClientRect().top + row.y + row.h;
  panel.classList.toggle("at-top", bottom > innerHeight - panel.offsetHeight - 40);
}

function arrowText(launch, i, side) {
  const { arrows } = launch;
  const kind = arrows.crossCore[i] ? "cross-core flag" : "flag";
  return `${kind} ${arrows.id[i]} ${side} ${launch.lanes[arrows[side][i]].name}, ${timeText(arrows.end[i] - arrows.begin[i])}`;
}

// The next instruction of the lane, from an instruction or from a wait.
function stepItem(view, by) {
  const item = view.selected;
  if (!item || item.kind === "heat") return;
  const { spans } = item.lane;
  const { begin } = view.timesOf(item);
  let index = item.kind === "span" ? item.index + by : countUpTo(spans.begin, begin) - (by < 0 ? 1 : 0);
  index = Math.max(0, Math.min(spans.n - 1, index));
  if (spans.n) view.select({ lane: item.lane, kind: "span", index }, { follow: true });
}

// The lane above or below, at the same time.
function stepLane(view, by) {
  const rows = view.rows.filter((row) => row.lane?.spans.n);
  if (!rows.length) return;
  const here = rows.findIndex((row) => row.lane === view.selected?.lane);
  const row = rows[here < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, here + by))];
  const time = view.selected ? view.timesOf(view.selected).begin : view.range.begin;
  const { spans } = row.lane;
  if (!spans.n) return;
  const index = Math.max(0, Math.min(spans.n - 1, countUpTo(spans.begin, time) - 1));
  view.select({ lane: row.lane, kind: "span", index }, { follow: true });
}

function speak(view) {
  if (!view.selected || view.selected.kind === "heat") return;
  const { head, facts } = describe(view, view.selected);
  byId("spoken").textContent = `${head}; ${facts.map((fact) => fact.join(" ")).join("; ")}`;
}
