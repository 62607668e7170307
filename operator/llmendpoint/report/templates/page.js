"use strict";

// The look: the reader's choice, else what the system prefers.
const root = document.documentElement;
const narrow = matchMedia("(max-width: 640px)");
const byFinger = matchMedia("(pointer: coarse)");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const lookButton = document.getElementById("look");
const LEGEND_GAP = 6, PANEL_GAP = 14;
const config = {
  responsive: false, displaylogo: false, doubleClick: "reset", showSendToCloud: false, plotlyServerURL: "",
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
};

// The part of a figure with the values of the page's colours in place of their names.
function coloured(part, style) {
  if (typeof part === "string") {
    return part.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  }
  if (Array.isArray(part)) return part.map((item) => coloured(item, style));
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, coloured(item, style)]));
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  if (text) element.textContent = text;
  return element;
}

// How a trace looks, in small; by CSS, so that it follows the look of the page.
function swatch(trace) {
  if (trace.mode?.startsWith("markers")) {
    const shapes = {
      "triangle-up": "▲", "triangle-down": "▼", diamond: "◆", "diamond-open": "◇", star: "★", square: "■", x: "✖",
    };
    const mark = make("i", "mark", shapes[trace.marker.symbol] ?? "●");
    mark.style.color = trace.marker.color;
    return mark;
  }
  const area = trace.stackgroup || trace.fill === "toself";
  const sample = make("i", area ? "area" : "line");
  sample.style.setProperty("--colour", area ? trace.fillcolor : trace.line.color);
  if (trace.fillpattern?.shape) sample.classList.add("hatched");
  if (trace.line?.dash) sample.style.borderTopStyle = trace.line.dash === "dot" ? "dotted" : "dashed";
  return sample;
}

// A panel's title and legend. A name in it is a button that hides or shows its traces.
function head(panel, traces, redraw) {
  const element = make("div", "panel-head");
  element.append(make("h3", "", panel.title));
  const legend = make("div", "legend");
  for (const trace of traces.filter((one) => one.name && one.showlegend !== false)) {
    const button = make("button", "");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch(trace), trace.name);
    button.addEventListener("click", () => {
      const visible = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(visible));
      for (const one of traces) {
        if (one === trace || (trace.legendgroup && one.legendgroup === trace.legendgroup)) one.visible = visible;
      }
      redraw();
    });
    legend.append(button);
  }
  element.append(legend);
  return element;
}

// The sentences of the rows of a table, in lines short enough for a label, which takes HTML as the table does.
function sentences(kind) {
  return [...document.querySelectorAll(`tr.${kind} td:last-child`)].map((cell) => {
    return cell.innerHTML.replace(narrow.matches ? /(.{1,40})(?:\s+|$)/g : /(.{1,64})(?:\s+|$)/g, "$1<br>").replace(/<br>$/, "");
  });
}

class Chart {
  constructor(script) {
    this.frame = document.getElementById(script.dataset.chart);
    this.figure = JSON.parse(script.textContent);
    for (const trace of this.figure.data) {
      if (trace.meta?.sentences) trace.text = sentences(trace.meta.sentences);
    }
    this.plot = make("div", "plot");
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", this.frame.dataset.label);
    this.frame.append(this.plot);
    // Where dragging scrolls the page, a tap would show its label for a moment only.
    this.plot.addEventListener("click", (tap) => {
      if (!byFinger.matches) return;
      const { clientX, clientY } = tap;
      setTimeout(() => tap.target.dispatchEvent(new MouseEvent("mousemove", { clientX, clientY, bubbles: true })));
    });
    this.heads = this.figure.layout.meta.panels.map((panel, place) => {
      const axis = `y${place ? place + 1 : ""}`;
      const traces = this.figure.data.filter((trace) => (trace.yaxis ?? "y") === axis);
      const element = head(panel, traces, () => this.draw());
      this.frame.append(element);
      return element;
    });
    // The heads are the legends. An empty one stays, for the order of the lines in labels is its own.
    for (const trace of this.figure.data) trace.showlegend = false;
    Object.assign(this.figure.layout, { showlegend: true, legend: { traceorder: "normal" } });
    new ResizeObserver(() => {
      if (this.frame.clientWidth !== this.width) this.draw();
    }).observe(this.frame);
  }

  draw() {
    this.width = this.frame.clientWidth;
    const { data, layout } = coloured(this.figure, getComputedStyle(root));
    // Panels below each other, each below its head, however many lines that takes.
    let y = 0;
    const places = layout.meta.panels.map((panel, place) => {
      this.heads[place].style.top = `${y}px`;
      const top = y + this.heads[place].offsetHeight + LEGEND_GAP;
      y = top + panel.height + PANEL_GAP;
      return [top, top + panel.height];
    });
    const bottom = places[places.length - 1][1];
    places.forEach(([upper, lower], place) => {
      layout[`yaxis${place ? place + 1 : ""}`].domain = [1 - lower / bottom, 1 - upper / bottom];
    });
    Object.assign(layout, { width: this.width, height: bottom + layout.margin.b, uirevision: "kept" });
    if (narrow.matches) layout.hoverlabel.font.size = 10;
    // A finger that drags wants to scroll the page.
    layout.dragmode = byFinger.matches ? false : "zoom";
    Plotly.react(this.plot, data, layout, config);
  }
}

const charts = [...document.querySelectorAll("script[data-chart]")].map((script) => new Chart(script));

function show(look) {
  root.dataset.look = look;
  lookButton.textContent = look === "dark" ? "Light" : "Dark";
  charts.forEach((chart) => chart.draw());
}

lookButton.addEventListener("click", () => show(root.dataset.look === "dark" ? "light" : "dark"));
systemDark.addEventListener("change", () => show(systemDark.matches ? "dark" : "light"));
// On paper all is light, and as wide as a page.
let lookBefore;
addEventListener("beforeprint", () => {
  lookBefore = root.dataset.look;
  root.classList.add("paper");
  show("light");
});
addEventListener("afterprint", () => {
  root.classList.remove("paper");
  show(lookBefore);
});
show(systemDark.matches ? "dark" : "light");

// The table of scale changes: a filter, and each time leads to its place in the chart.
const table = document.getElementById("changes");
if (table) {
  const rows = [...table.tBodies[0].rows];
  const direction = document.getElementById("direction");
  const words = document.getElementById("words");
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(row.className.includes(direction.value) && wanted.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  };
  direction.addEventListener("change", filter);
  words.addEventListener("input", filter);
  table.addEventListener("click", (event) => {
    const at = event.target.dataset.time;
    if (at === undefined) return;
    const timeline = document.querySelector("#timeline .plot");
    Plotly.relayout(timeline, { "xaxis.range": [1000 * at - 900000, 1000 * at + 900000] });
    timeline.scrollIntoView({ behavior: "smooth" });
  });
}
