// Draws the plots of a report with Chart.js from the JSON in #data. Colours come from the page's style, so that
// light and dark schemes share one description. body.dataset.plots counts what was drawn, .errors what failed.
"use strict";
(() => {
  const body = document.body;
  body.dataset.errors = "";
  const report = (text) => { body.dataset.errors += text + "\n"; };
  addEventListener("error", (event) => report(event.message));
  const charts = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const phone = matchMedia("(max-width: 720px)");
  const { chooseTicks, exact } = axes;

  // viridis, without the ends that vanish on white or on black
  const scales = {
    light: [[72, 40, 120], [49, 104, 142], [33, 145, 140], [74, 173, 92], [160, 180, 30]],
    dark: [[150, 130, 240], [95, 160, 225], [60, 190, 180], [120, 210, 120], [220, 225, 80]],
  };

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function shade(t) {
    const stops = scales[dark.matches ? "dark" : "light"];
    const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
    const i = Math.min(Math.floor(at), stops.length - 2);
    const mix = stops[i].map((c, k) => Math.round(c + (at - i) * (stops[i + 1][k] - c)));
    return "#" + mix.map((c) => c.toString(16).padStart(2, "0")).join("");  // hex: an opacity can follow
  }

  function colour(series) {
    switch (series.color) {
      case "scale": return shade(series.shade ?? 0.5);
      case "rung": return css("ink");
      case "muted": return css("soft") + "55";
      default: return css(series.color);
    }
  }

  // All x and y of a chart, intervals and bands included.
  function extent(chart, axis) {
    let low = Infinity, high = -Infinity;
    for (const series of chart.series)
      for (const point of series.data)
        for (const value of axis === "x" ? [point[0]] : point.slice(1))
          if (Number.isFinite(value)) low = Math.min(low, value), high = Math.max(high, value);
    return [low, high];
  }

  function limits(chart, axis) {
    let [low, high] = extent(chart, axis);
    const spec = chart[axis];
    if (spec.zero) low = Math.min(low, 0), high = Math.max(high, 0);
    if (spec.cap) high = Math.min(high, spec.cap);
    if (spec.log) {
      const margin = Math.max((high / low) ** 0.05, 1.01);
      return [low / margin, high * margin];
    }
    const margin = 0.07 * (high - low || Math.abs(high) || 1);
    return [low - margin, high + margin];
  }

  const tickOptions = () =>
    ({ color: css("soft"), maxRotation: 0, autoSkip: false, callback: (value, i, ticks) => ticks[i].label });

  function scaleOptions(chart, axis) {
    const spec = chart[axis];
    const [min, max] = limits(chart, axis);
    return {
      type: spec.log ? "logarithmic" : "linear", min, max,
      title: { display: true, text: spec.title, color: css("soft") },
      grid: { color: (c) => (spec.zero && c.tick.value === 0 ? css("soft") : css("line")), borderColor: css("line") },
      ticks: tickOptions(),
      afterBuildTicks(scale) { scale.ticks = chooseTicks(scale, spec, min, max); },
    };
  }

  function datasets(series) {
    const own = colour(series);
    const orders = { interval: 1, points: 2, line: 3, band: 5 };
    const order = series.color === "target" ? 0 : series.thin ? 6 : orders[series.kind];
    const common = { label: series.label, spec: series, order, borderColor: own, backgroundColor: own, borderWidth: 2,
      pointRadius: 0, pointHoverRadius: 4, hideLegend: series.legend === false };
    const xy = series.data.map((p) => ({ x: p[0], y: p[1] }));
    if (series.kind === "band") {
      const edge = (k) => series.data.map((p) => ({ x: p[0], y: p[k] }));
      const fill = { ...common, showLine: true, borderWidth: 0, backgroundColor: own + "30", pointHitRadius: 0 };
      return [{ ...fill, data: edge(2), fill: "+1" }, { ...fill, data: edge(1), fill: false, hideLegend: true }];
    }
    if (series.kind === "line") {
      const line = { ...common, data: xy, showLine: true, borderWidth: series.bold ? 3 : series.thin ? 1 : 2 };
      if (series.marks) Object.assign(line, { pointRadius: 3, pointStyle: series.shape, borderWidth: 1.5 });
      return [line];
    }
    const marks = { interval: ["rectRot", 7], cross: ["crossRot", 8], star: ["star", 7] };
    const mark = series.kind === "interval" ? "interval" : series.shape;
    const [shape, radius] = marks[mark] ?? ["circle", series.small ? 2.5 : 4.5];
    return [{ ...common, data: xy, pointStyle: shape, pointRadius: radius, pointHoverRadius: radius + 1.5,
      borderWidth: shape === "crossRot" ? 3.5 : 1.8, pointBackgroundColor: series.hollow ? "transparent" : own }];
  }

  // Vertical bars with caps for series that carry [x, y, lo, hi].
  const intervals = {
    id: "intervals",
    beforeDatasetsDraw({ ctx, data, scales }) {
      for (const { spec } of data.datasets) {
        if (spec?.kind !== "interval") continue;
        ctx.save();
        ctx.strokeStyle = colour(spec);
        ctx.lineWidth = 2;
        for (const [x, , lo, hi] of spec.data) {
          if (lo === null || hi === null) continue;
          const at = scales.x.getPixelForValue(x);
          const [low, high] = [lo, hi].map((v) => scales.y.getPixelForValue(v));
          ctx.beginPath();
          for (const y of [low, high]) ctx.moveTo(at - 6, y), ctx.lineTo(at + 6, y);
          ctx.moveTo(at, low), ctx.lineTo(at, high);
          ctx.stroke();
        }
        ctx.restore();
      }
    },
  };

  function tooltip(chart) {
    const labels = {
      title: () => "",
      label(item) {
        const spec = item.dataset.spec, point = spec.data[item.dataIndex];
        const name = spec.name ?? spec.notes?.[item.dataIndex] ?? spec.label;
        const range = spec.kind === "interval" && point[2] !== null
          ? ` (${exact(point[2], chart.y.format)} to ${exact(point[3], chart.y.format)})` : "";
        return [name, `${exact(point[1], chart.y.format)}${range} at ${exact(point[0], chart.x.format)}`];
      },
    };
    return { callbacks: labels, displayColors: false, padding: 9, filter: (item) => item.dataset.spec.kind !== "band" };
  }

  function scatter(chart) {
    return {
      type: "scatter",
      data: { datasets: chart.series.flatMap(datasets) },
      plugins: [intervals],
      options: {
        animation: false, maintainAspectRatio: false, interaction: { mode: "nearest", intersect: false },
        scales: { x: scaleOptions(chart, "x"), y: scaleOptions(chart, "y") },
        plugins: {
          tooltip: tooltip(chart),
          legend: {
            position: "bottom",
            labels: { color: css("ink"), usePointStyle: true, boxHeight: 7, padding: 12,
              filter: (item, data) => !data.datasets[item.datasetIndex].hideLegend,
              generateLabels: (plot) => Chart.defaults.plugins.legend.labels.generateLabels(plot).map((label) => {
                const { spec } = plot.data.datasets[label.datasetIndex];
                const line = spec.kind === "line" && !spec.marks;
                return { ...label, pointStyle: line ? "line" : spec.kind === "band" ? "rect" : label.pointStyle,
                  lineWidth: spec.kind === "band" ? 0 : label.lineWidth,
                  fillStyle: spec.hollow ? "transparent" : label.fillStyle };
              }) },
          },
        },
      },
    };
  }

  function bars(chart) {
    const unit = (bar) => bar.percent ?? bar.value, most = 1.05 * Math.max(...chart.bars.map(unit)) || 1;
    const label = ({ dataIndex: i }) =>
      `± ${exact(chart.bars[i].value, "loss")} nats (± ${exact(unit(chart.bars[i]), "plain")})`;
    return {
      type: "bar",
      data: { labels: chart.bars.map((bar) => bar.name), datasets: [{
        data: chart.bars.map(unit), barPercentage: 0.65,
        backgroundColor: chart.bars.map((bar) => css(bar.total ? "prediction" : "law")) }] },
      options: {
        animation: false, indexAxis: "y", maintainAspectRatio: false,
        scales: {
          x: { min: 0, max: most, grid: { color: css("line") },
            ticks: tickOptions(),
            afterBuildTicks(scale) { scale.ticks = chooseTicks(scale, { format: "number" }, 0, most); },
            title: { display: true, text: "half-width, % of the predicted loss", color: css("soft") } },
          y: { ticks: { color: css("ink") }, grid: { display: false } },
        },
        plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: { label } } },
      },
    };
  }

  let drawn = [];
  function draw() {
    for (const plot of drawn) plot.destroy();
    drawn = [];
    Chart.defaults.font.family = getComputedStyle(body).fontFamily;
    Chart.defaults.font.size = 12;
    for (const chart of charts) {
      const canvas = document.querySelector(`canvas[data-plot="${chart.id}"]`);
      try {
        drawn.push(new Chart(canvas, chart.bars ? bars(chart) : scatter(chart)));
      } catch (error) {
        report(`${chart.id}: ${error.message}`);
      }
    }
    body.dataset.plots = drawn.length;
  }
  draw();
  dark.addEventListener("change", draw);
  phone.addEventListener("change", draw);
})();
