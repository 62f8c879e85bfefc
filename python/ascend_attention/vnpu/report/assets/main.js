// SPDX-License-Identifier: Apache-2.0
// Puts the page together.

class Page {
  constructor(data) {
    this.data = data;
    showHead(data);
    showFindings(data);
    showUsage(data);
    for (const id of ["figures", "charts", "timeline", "tables"]) byId(id).hidden = !data.launches.length;
    if (!data.launches.length) return;
    this.view = new View(data.causes);
    this.overview = new Overview(this.view);
    this.view.onChange(() => this.showRange());
    this.view.onChange(showDetails);
    this.search = new Search(this);
    this.showTabs();
    this.listen();
    this.show(longestLaunch(data.launches));
  }

  showTabs() {
    const tabs = byId("launches");
    tabs.hidden = this.data.launches.length < 2;
    this.tabs = this.data.launches.map((launch) => make("button", { onclick: () => this.show(launch) },
      `${launch.kernel} · ${timeText(launch.total_ps)}`));
    tabs.replaceChildren(...this.tabs, make("span", { class: "all" }, allText(this.data.figures)));
  }

  show(launch) {
    const { data } = this;
    this.tabs.forEach((tab, i) => tab.setAttribute("aria-pressed", String(data.launches[i] === launch)));
    showFigures(launch.figures);
    drawPipes(launch.figures);
    this.drawCharts(launch);
    showPlaces(launch, (text) => this.findPlace(text));
    byId("lane-table").replaceChildren();
    byId("lane-details").open = false;
    byId("cut").textContent = cutText(launch);
    byId("cut").hidden = !byId("cut").textContent;
    this.view.setLaunch(launch);
    this.search.find(this.search.field.value);
    showLegend(this.view.palette);
  }

  drawCharts(launch) {
    drawRoofline(this.data.launches, launch);
    drawBlocks(launch, launch.figures, (block) => this.view.reveal(block));
  }

  showRange() {
    const { range, tooManyArrows } = this.view;
    const flags = tooManyArrows ? " · flags too many" : "";
    byId("range").textContent = `${timeText(range.end - range.begin)} shown${flags}`;
  }

  findPlace(text) {
    this.search.set(text);
    this.search.step(1);
    byId("timeline").scrollIntoView({ behavior: "auto", block: "nearest" });
  }

  showSlowest() {
    this.view.reveal(this.view.launch.favourites[0]);
  }

  setArrows(mode) {
    byId("arrows").value = this.view.arrowMode = mode;
    this.view.changed();
  }

  listen() {
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on("zoom-in", "click", () => this.view.zoom(0.5));
    on("zoom-out", "click", () => this.view.zoom(2));
    on("fit", "click", () => this.view.fit());
    on("slowest", "click", () => this.showSlowest());
    on("expand", "click", () => this.view.openAll(true));
    on("collapse", "click", () => this.view.openAll(false));
    on("order", "change", () => { this.view.order = byId("order").value; this.view.layOut(); });
    on("arrows", "change", () => this.setArrows(byId("arrows").value));
    on("help", "click", () => byId("keys").showModal());
    on("lane-details", "toggle", () => {
      if (byId("lane-details").open) showLaneTable(this.view.launch, this.data.causes);
    });
    listenToLanes(this.view);
    listenToAxis(this.view);
    listenToKeys(this);
    this.overview.listen();
    this.listenToWindow();
  }

  listenToWindow() {
    const redraw = () => this.view.changed();
    new ResizeObserver(redraw).observe(byId("stage"));
    addEventListener("scroll", redraw, { passive: true });
    addEventListener("resize", () => {
      this.drawCharts(this.view.launch);
      redraw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.view.palette = new Palette();
      showLegend(this.view.palette);
      this.view.changed();
    });
  }
}

// All launches together.
function allText(figures) {
  const rate = figures.kv_tb_per_s === null ? ""
    : ` · ${bytesText(figures.kv_bytes)} of keys and values at ${digits(figures.kv_tb_per_s)} TB/s`;
  return `in all ${digits(figures.time_us)} µs${rate}`;
}

const longestLaunch = (launches) => launches.reduce((a, b) => (b.total_ps > a.total_ps ? b : a));

function showTrouble(text) {
  const place = byId("trouble");
  place.hidden = false;
  place.textContent = `This page failed: ${text}`;
}

addEventListener("error", (event) => showTrouble(event.message));
addEventListener("unhandledrejection", (event) => showTrouble(event.reason?.message ?? String(event.reason)));

readData().then((data) => {
  const page = new Page(data);
  // For the browser's console and for tests: vnpuReport.view.setRange(begin_ps, end_ps), ...
  window.vnpuReport = page;
  document.documentElement.dataset.ready = "true";
}, (error) => showTrouble(error.message));
