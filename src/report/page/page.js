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
  const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

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

  const superscript = (n) => (n < 0 ? "⁻" : "") + [...String(Math.abs(n))].map((d) => superscripts[d]).join("");

  function short(value) {
    return String(Number(value.toPrecision(3)));
  }

  const formats = {
    power(value) {
      const exponent = Math.floor(Math.log10(value) + 1e-9);
      const mantissa = short(value / 10 ** exponent);
      return (mantissa === "1" ? "" : mantissa + "·") + "10" + superscript(exponent);
    },
    pow2(value) {
      const exponent = Math.log2(value);
      const whole = Math.round(exponent);
      return Math.abs(exponent - whole) < 0.02 ? "2" + superscript(whole) : value.toPrecision(3);
    },
    count(value) {
      for (const [unit, name] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
        if (value >= unit) return short(value / unit) + name;
      return short(value);
    },
    loss: (value) => short(value),
    percent: (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + short(Math.abs(value)) + " %",
    plain: (value) => short(value),
    number: (value) => short(value),
  };
  const exact = { ...formats, loss: (v) => v.toFixed(4), plain: (v) => v.toFixed(2) + " %",
    number: (v) => String(Number(v.toPrecision(5))), percent: (v) => (v < 0 ? "−" : "+") + Math.abs(v).toFixed(2) + " %" };

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

  function linearTicks(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= raw);
    const ticks = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; ++k) ticks.push(Number((k * step).toPrecision(12)));
    return ticks;
  }

  // Ticks of a logarithmic axis that stay readable over a tenth of a decade as over ten decades.
  function logTicks(low, high, count, base) {
    const steps = Math.log(high / low) / Math.log(base);
    const mantissas = base === 2 || steps > count ? [1] : steps > 2.2 ? [1, 3] : steps > 1.2 ? [1, 2, 5] : null;
    if (!mantissas) return linearTicks(low, high, count);
    const stride = Math.max(1, Math.ceil(steps / count)), ticks = [];
    for (let e = Math.floor(Math.log(low) / Math.log(base)); base ** e <= high; ++e)
      for (const m of mantissas)
        if (e % stride === 0 && m * base ** e >= low && m * base ** e <= high) ticks.push(m * base ** e);
    return ticks;
  }

  function scaleOptions(chart, axis) {
    const spec = chart[axis];
    const [min, max] = limits(chart, axis);
    return {
      type: spec.log ? "logarithmic" : "linear", min, max,
      title: { display: true, text: spec.title, color: css("soft") },
      grid: { color: (c) => (spec.zero && c.tick.value === 0 ? css("soft") : css("line")), borderColor: css("line") },
      ticks: { color: css("soft"), maxRotation: 0, autoSkip: false, callback: (v) => formats[spec.format](v) },
      afterBuildTicks(scale) {
        const count = axis === "y" ? 6 : scale.chart.width < 560 ? 4 : 8;
        const values = spec.log ? logTicks(min, max, count, spec.format === "pow2" ? 2 : 10) : linearTicks(min, max, count);
        scale.ticks = values.map((value) => ({ value }));
      },
    };
  }

  function datasets(series) {
    const own = colour(series);
    const order = series.color === "target" ? 0 : series.thin ? 6 : { interval: 1, points: 2, line: 3, band: 5 }[series.kind];
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
    const [shape, radius] = marks[series.kind === "interval" ? "interval" : series.shape] ?? ["circle", series.small ? 2.5 : 4.5];
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
          ? ` (${exact[chart.y.format](point[2])} to ${exact[chart.y.format](point[3])})` : "";
        return [name, `${exact[chart.y.format](point[1])}${range} at ${exact[chart.x.format](point[0])}`];
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
    const unit = (bar) => bar.percent ?? bar.value;
    return {
      type: "bar",
      data: { labels: chart.bars.map((bar) => bar.name), datasets: [{
        data: chart.bars.map(unit), barPercentage: 0.65,
        backgroundColor: chart.bars.map((bar) => css(bar.total ? "prediction" : "law")) }] },
      options: {
        animation: false, indexAxis: "y", maintainAspectRatio: false,
        scales: {
          x: { beginAtZero: true, ticks: { color: css("soft"), maxTicksLimit: 6 }, grid: { color: css("line") },
            title: { display: true, text: "half-width, % of the predicted loss", color: css("soft") } },
          y: { ticks: { color: css("ink") }, grid: { display: false } },
        },
        plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: {
          label: (item) => `± ${chart.bars[item.dataIndex].value.toPrecision(3)} nats (± ${unit(chart.bars[item.dataIndex]).toFixed(2)} %)` } } },
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
