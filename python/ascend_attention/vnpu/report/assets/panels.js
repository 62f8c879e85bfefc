// SPDX-License-Identifier: Apache-2.0
// Everything that is text: verdict, findings, figures, legend, tables.

// Names of cases are long words; they may break behind their separators.
function breakable(text) {
  const parts = text.split(/(?<=[:,_])/);
  return parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
}

function showHead(data) {
  byId("title").replaceChildren(...breakable(data.title));
  const verdict = byId("verdict");
  verdict.classList.add(data.verdict);
  verdict.textContent = data.verdict_line;
  const soc = data.figures ? `${data.figures.soc} · ` : "";
  const kernels = data.launches.map((launch) => `${launch.kernel} on ${launch.num_blocks} block${launch.num_blocks === 1 ? "" : "s"}`);
  byId("subtitle").textContent = soc + kernels.slice(0, 3).join(", then ") + (kernels.length > 3 ? " …" : "");
  byId("modelled").hidden = !data.figures;
  byId("foot").textContent = "ascend-attention virtual NPU. The page holds its data and needs no network.";
}

// The rest folds away: often one cause has many findings.
const FINDINGS_OPEN = 3;

function showFindings(data) {
  const section = byId("findings");
  section.hidden = !data.findings.length && !data.faults.length;
  for (const fault of data.faults) {
    const [head, ...rest] = fault.trimEnd().split("\n");
    section.append(make("article", { class: "finding fault" }, make("h3", {}, head), make("pre", {}, rest.join("\n"))));
  }
  const articles = data.findings.map(findingArticle);
  section.append(...articles.slice(0, FINDINGS_OPEN));
  const more = articles.slice(FINDINGS_OPEN);
  if (!more.length) return;
  const text = `${more.length} more finding${more.length === 1 ? "" : "s"}`;
  section.append(make("details", { class: "more" }, make("summary", {}, text), ...more));
}

function findingArticle(finding) {
  const times = finding.count > 1 ? `, met ${finding.count.toLocaleString("en-US")} times` : "";
  const sites = make("ol", {}, ...finding.sites.map((site, i) => make("li", {},
    make("div", { class: "facts" }, `${siteLabel(i, finding.sites.length)}block ${site.block} ${site.role} ${site.pipe}, instruction ${site.sequence}`),
    make("div", { class: "what" }, `${site.intrinsic} ${site.what}`),
    make("div", { class: "frames" }, ...site.frames.map((frame, depth) => make("div", {},
      make(depth ? "span" : "b", {}, frame.line ? `${frame.file}:${frame.line}` : frame.file), frame.function ? `  ${frame.function}` : ""))))));
  const advice = make("dl");
  for (const [name, value] of [["missing", finding.missing], ["fix", finding.fix]]) {
    if (value) advice.append(make("dt", {}, name), make("dd", {}, value));
  }
  return make("article", { class: "finding" }, make("h3", {}, finding.headline),
    make("p", { class: "kind" }, `${finding.kind} in ${finding.kernel}${times} (checker: ${finding.checker})`), sites, advice,
    make("details", {}, make("summary", {}, "As text"), make("pre", {}, finding.text)));
}

const siteLabel = (i, count) => (count === 1 ? "" : `${["first", "second"][i] ?? "also"}: `);

// `figures` of one launch, or of all of them.
function showFigures(figures) {
  const tile = (name, value, unit, more, className = "") => make("div", { class: `figure ${className}` },
    make("div", { class: "name" }, name), make("div", { class: "value" }, value, unit ? make("small", {}, unit) : ""),
    make("div", { class: "more" }, more ?? ""));
  const hitShare = figures.gm_read_bytes ? figures.l2_hit_bytes / figures.gm_read_bytes : 0;
  const tiles = [
    tile("Time", digits(figures.time_us), "µs", `${digits(figures.launch_us)} µs of it launch cost`),
    tile("HBM traffic", digits(figures.hbm_tb_per_s), "TB/s", bytesText(figures.hbm_bytes)),
    tile("GM read", bytesText(figures.gm_read_bytes), "", `${percentText(hitShare)} of it from L2`),
    tile("Imbalance", figures.imbalance.toFixed(3), "", "slowest block / mean"),
    tile("Limit", boundText(figures), "", "", "bound"),
  ];
  if (figures.kv_tb_per_s !== null) {
    tiles.splice(1, 0, tile("Keys and values", digits(figures.kv_tb_per_s), "TB/s", bytesText(figures.kv_bytes)));
  }
  byId("figures").replaceChildren(...tiles);
}

const boundText = (figures) => figures.bound_line.replace(/,? modelled$/, "").replace(/ us\b/, " µs");

function showLegend(palette) {
  const items = [];
  const add = (text, paint) => {
    const ratio = devicePixelRatio || 1;
    const swatch = make("canvas", { width: 20 * ratio, height: 14 * ratio, "aria-hidden": "true" });
    const ctx = swatch.getContext("2d");
    ctx.scale(ratio, ratio);
    paint(ctx);
    items.push(make("span", {}, swatch, text));
  };
  const work = (pipe) => (ctx) => { ctx.fillStyle = palette.work(pipe); ctx.fillRect(0, 0, 20, 14); };
  for (const [pipe, text] of [
    ["MTE2", "load (MTE2)"], ["MTE1", "to L0 (MTE1)"], ["M", "cube (M)"], ["V", "vector (V)"], ["FIX", "L0C out (FIX)"],
    ["MTE3", "store (MTE3)"], ["S", "scalar (S)"],
  ]) add(text, work(pipe));
  add("slowed by shared HBM, L2", (ctx) => { ctx.fillStyle = palette.slowed("MTE2", "hbm"); ctx.fillRect(0, 0, 20, 14); });
  for (const cause of WAITS_SHOWN) {
    add(`waits: ${CAUSE_TEXT[cause][0]}`, (ctx) => { ctx.fillStyle = palette.wait(cause); ctx.fillRect(0, 4, 20, 6); });
  }
  byId("legend").replaceChildren(...items);
}

function sourceCell(launch, site) {
  const frames = framesOf(launch.sites[site]);
  const text = frames.slice(0, 2).map(placeText).join(" ← ");
  return make("span", { title: frames.map((f) => `${f.file}:${f.line} ${f.name}`).join("\n") }, text || "not known");
}

function showPlaces(launch, onFind) {
  const number = "number";
  const longest = (list) => Math.max(1, ...list.map((row) => row.total_ps));
  const timeCell = (row, top, colour) => make("span", {}, timeText(row.total_ps),
    make("span", { class: "share", style: `width:${(row.total_ps / top) * 72}px;background:${colour};margin-left:auto` }));
  const placed = (row) => framesOf(launch.sites[row.site]).slice(0, 1).map(placeText).join("");
  const busiestTop = longest(launch.busiest);
  byId("busiest").replaceChildren(dataTable(
    [{ text: "pipe" }, { text: "intrinsic" }, { text: "source", kind: "source" }, { text: "times", kind: number }, { text: "bytes", kind: number }, { text: "time", kind: number }],
    launch.busiest.map((row) => [
      row.pipe.replace(".", " "), make("button", { onclick: () => onFind(`${row.intrinsic} ${placed(row)}`) }, ...breakable(row.intrinsic)),
      sourceCell(launch, row.site), digitsOfCount(row.count), row.bytes ? bytesText(row.bytes) : "", timeCell(row, busiestTop, `var(--${row.pipe.split(".")[1]})`),
    ])));
  const waitsTop = longest(launch.longest_waits);
  byId("longest-waits").replaceChildren(dataTable(
    [{ text: "pipe" }, { text: "for" }, { text: "source", kind: "source" }, { text: "times", kind: number }, { text: "time", kind: number }],
    launch.longest_waits.map((row) => [
      row.pipe.replace(".", " "), CAUSE_TEXT[row.cause][0], sourceCell(launch, row.site), digitsOfCount(row.count),
      timeCell(row, waitsTop, `var(--${row.cause})`),
    ])));
}

const digitsOfCount = (count) => count.toLocaleString("en-US").replaceAll(",", " ");

// Built when it is opened: hundreds of rows.
function showLaneTable(launch, causes) {
  const shown = causes.filter((cause, i) => launch.lanes.some((lane) => lane.wait_ps[i] > 0));
  const micro = (ps) => (ps / 1e6).toFixed(2);
  byId("lane-table").replaceChildren(dataTable(
    [{ text: "lane" }, { text: "works", kind: "number" }, ...shown.map((cause) => ({ text: CAUSE_TEXT[cause][0], kind: "number" }))],
    launch.lanes.map((lane) => [lane.name, micro(lane.busy_ps), ...shown.map((cause) => micro(lane.wait_ps[causes.indexOf(cause)]))])));
}

function showUsage(data) {
  byId("usage-details").hidden = !data.usage.length;
  const count = (bytes) => digitsOfCount(bytes);
  byId("usage").replaceChildren(dataTable(
    [{ text: "region" }, { text: "bytes", kind: "number" }, { text: "read up to", kind: "number" }, { text: "written up to", kind: "number" }],
    data.usage.map((row) => [row.name, count(row.size_bytes), count(row.read_end_bytes), count(row.write_end_bytes)])));
}

// What the page leaves out, in words.
function cutText(launch) {
  const shown = launch.shown_blocks.length;
  const all = launch.blocks.length;
  const total = digitsOfCount(launch.num_spans);
  if (launch.shown_until_ps !== null) {
    return `Too long for one page (${total} instructions): of block ${launch.shown_blocks.join(", ")} the first ${timeText(launch.shown_until_ps)} are shown, of the other blocks only their load over time. The Chrome trace (.json) has everything.`;
  }
  if (shown < all) {
    return `Too long for one page (${total} instructions): ${shown} of ${all} blocks come with every instruction, the others with their load over time. The Chrome trace (.json) has everything.`;
  }
  return "";
}
