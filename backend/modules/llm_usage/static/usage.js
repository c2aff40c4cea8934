// Draws the charts from the data beside them. Names in it come from the ledger: they only ever
// become text, never markup.
"use strict";
(() => {
  const theme = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const usd = (value, digits) =>
    "$" + value.toLocaleString("en", value && value < 1
      ? { maximumSignificantDigits: digits }
      : { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const written = {
    usd: (value) => (value ? usd(value, 2) : "$0"),
    count: (value) => value.toLocaleString("en"),
  };
  const onAxis = {
    usd: (value) => (value >= 1000 ? "$" + compact.format(value) : value ? usd(value, 2).replace(/\.00$/, "") : "$0"),
    count: (value) => compact.format(value),
  };
  const dayName = (seconds) =>
    new Date(seconds * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const DAY = 86400;
  const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].flatMap((ten) => [ten, 2 * ten, 5 * ten]);

  // Each series is drawn as high as itself and all below it; the highest comes first.
  function stacked(series) {
    let below = series[0].values.map(() => 0);
    return series.map((one) => (below = one.values.map((value, i) => value + below[i]))).reverse();
  }

  function line(name, value, color) {
    const row = document.createElement("div");
    if (color) {
      const swatch = document.createElement("span");
      swatch.className = "swatch c" + color;
      row.append(swatch);
    }
    const label = document.createElement("bdi");
    label.textContent = name;
    const amount = document.createElement("b");
    amount.textContent = value;
    row.append(label, amount);
    return row;
  }

  function tip(data, days) {
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    const show = (plot) => {
      const { idx, left } = plot.cursor;
      box.hidden = idx == null || left < 0;
      if (box.hidden) return;
      const head = document.createElement("strong");
      head.textContent = dayName(days[idx]);
      const lines = data.series
        .filter((one) => one.values[idx])
        .map((one) => line(one.name, written[data.unit](one.values[idx]), one.color));
      const total = line("in all", written[data.unit](data.series.reduce((sum, one) => sum + one.values[idx], 0)));
      total.className = "total";
      box.replaceChildren(head, ...lines.reverse(), total);
      const over = plot.over.getBoundingClientRect(), outer = plot.root.getBoundingClientRect();
      const at = over.left - outer.left + plot.valToPos(days[idx], "x");
      const flips = at + box.offsetWidth + 16 > outer.width;
      box.style.transform = `translate(${Math.max(flips ? at - box.offsetWidth - 16 : at + 16, 0)}px, 0)`;
    };
    return { hooks: { init: (plot) => plot.root.append(box), setCursor: show } };
  }

  function options(target, data, days) {
    const bars = uPlot.paths.bars({ size: [0.72, 48], radius: 0.12 });
    const axis = { stroke: theme("--quiet"), font: "12px system-ui, sans-serif", ticks: { show: false }, gap: 6 };
    const width = (_plot, texts) => Math.max(56, ...(texts ?? []).map((text) => 14 + 7 * text.length));
    const apart = Math.max(1, Math.ceil(days.length / Math.max(target.clientWidth / 70, 2)));
    return {
      width: target.clientWidth,
      height: target.clientHeight,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { range: () => [days[0] - DAY * 0.6, days[days.length - 1] + DAY * 0.6] },
        y: { range: (_plot, _low, high) => [0, high ? high * 1.05 : 1] },
      },
      axes: [
        { ...axis, size: 28, grid: { show: false }, splits: () => days.filter((_day, i) => i % apart === 0), values: (_plot, at) => at.map(dayName) },
        { ...axis, ...(data.unit === "count" && { incrs: WHOLE }), size: width, grid: { stroke: theme("--line"), width: 1 }, space: 44, values: (_plot, at) => at.map(onAxis[data.unit]) },
      ],
      series: [
        {},
        ...data.series.map((one) => ({ fill: theme("--c" + one.color), width: 0, paths: bars, points: { show: false } })).reverse(),
      ],
      plugins: [tip(data, days)],
    };
  }

  const plots = new Map();
  function draw(target) {
    plots.get(target)?.destroy();
    const data = JSON.parse(target.dataset.chart);
    const days = data.days.map((day) => Date.parse(day + "T00:00:00Z") / 1000);
    plots.set(target, new uPlot(options(target, data, days), [days, ...stacked(data.series)], target));
  }

  const drawAll = () => document.querySelectorAll(".plot").forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = window.innerWidth;
  addEventListener("resize", () => {
    if (window.innerWidth !== width) drawAll();
    width = window.innerWidth;
  });
  drawAll();
})();
