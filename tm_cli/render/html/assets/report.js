(() => {
  "use strict";

  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  /* What a chart draws, the lowest layer first. */
  const SERIES = {
    rates: [["ours", "planned", "planned"], ["ours", "rps", "achieved"], ["theirs", "rps", "achieved"]],
    times: [["theirs", "p50", "p50"], ["theirs", "p95", "p95"], ["theirs", "p99", "p99"],
      ["ours", "p50", "p50"], ["ours", "p95", "p95"], ["ours", "p99", "p99"]],
    errors: [["theirs", "bad", "failed"], ["ours", "bad", "failed"]],
  };
  /* The plan is a pale band below the lines: where all goes well, they lie upon it. */
  const PLANNED = { width: 6, alpha: 0.35 };
  const OURS = { width: 1.75 };
  const THEIRS = { width: 1.25, dash: [6, 4] };
  /* Lines as dense as the screen: dashes and widths would only blot them. */
  const DENSE = 800;
  const OURS_DENSE = { width: 1 };
  const THEIRS_DENSE = { width: 1, alpha: 0.5 };
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const plain = (value) => Number(value.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 });
  const UNITS = {
    rates: (value) => `${plain(value)}/s`,
    times: (value) => (value >= 1000 ? `${plain(value / 1000)} s` : `${plain(value)} ms`),
    errors: (value) => `${plain(value * 100)} %`,
  };

  function clock(seconds) {
    if (seconds < 60) return `${plain(seconds)}s`;
    const whole = Math.round(seconds);
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
    return [hours && `${hours}h`, minutes && `${minutes}m`, rest && !hours && `${rest}s`].filter(Boolean).join("") || "0s";
  }

  /* theme */

  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches);
  const stored = {
    get: () => { try { return localStorage.getItem("tm-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("tm-theme", value); } catch { /* a sandbox has no storage */ } },
  };

  function nameTheme() {
    byId("tm-theme").textContent = isDark() ? "Light" : "Dark";
    byId("tm-theme").setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
  }

  function switchTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored.set(root.dataset.theme);
    nameTheme();
    redraw();
  }

  /* charts */

  const charts = new Map();
  const runs = JSON.parse(byId("tm-charts").textContent);
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  function lines(run, chart) {
    return SERIES[chart].filter(([side, name]) => run[side][name].some((value) => value !== null));
  }

  /* The two runs have times of their own; the library lays them side by side. */
  function joined(run, wanted) {
    const sides = [...new Set(wanted.map(([side]) => side))];
    return uPlot.join(sides.map((side) => {
      const names = wanted.filter(([of]) => of === side).map(([, name]) => name);
      return [run[side].t, ...names.map((name) => run[side][name])];
    }));
  }

  function look(side, name, run) {
    if (name === "planned") return PLANNED;
    const isDense = run.ours.t.length > DENSE;
    if (side === "ours") return isDense ? OURS_DENSE : OURS;
    return isDense ? THEIRS_DENSE : THEIRS;
  }

  /* Where only the other run has a moment, show the nearest of this one. */
  function nearest(u, series, index) {
    const values = u.data[series];
    for (let away = 0; away < 4; away += 1) {
      if (values[index - away] != null) return index - away;
      if (values[index + away] != null) return index + away;
    }
    return index;
  }

  function options(place, run, chart, wanted) {
    const unit = UNITS[chart];
    const axis = { stroke: colour("soft"), font: "12px system-ui, sans-serif", grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
    return {
      width: Math.max(place.clientWidth, 240),
      height: innerWidth < 640 ? 210 : 260,
      scales: { x: { time: false }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.06 : 1] } },
      axes: [
        { ...axis, space: 70, incrs: STEPS, values: (u, splits) => splits.map(clock) },
        { ...axis, size: 68, values: (u, splits) => splits.map(unit) },
      ],
      series: [
        { label: "at", value: (u, value) => (value == null ? "–" : clock(value)) },
        ...wanted.map(([side, name, label]) => ({
          label: side === "theirs" ? `${label}, ${run.other}` : label,
          stroke: colour(side === "theirs" && name === "rps" ? "ink" : name),
          ...look(side, name, run),
          points: { show: false },
          value: (u, value) => (value == null ? "–" : unit(value)),
        })),
      ],
      legend: { markers: { width: (u, n) => (n ? 2 : 0), dash: (u, n) => (n && wanted[n - 1][0] === "theirs" ? "dashed" : "solid") } },
      cursor: { sync: { key: `run-${place.dataset.run}` }, y: false, dataIdx: (u, series, index) => nearest(u, series, index) },
    };
  }

  function draw(place) {
    const chart = place.dataset.chart;
    const run = runs[Number(place.dataset.run)];
    const wanted = lines(run, chart);
    const u = new uPlot(options(place, run, chart, wanted), joined(run, wanted), place);
    charts.set(place, u);
    describe(u, place, wanted, run, chart);
  }

  /* The plot is a slider over the moments of the run: arrows move it, its text tells the values. */
  function describe(u, place, wanted, run, chart) {
    const about = byId(place.dataset.about).textContent;
    const canvas = u.root.querySelector("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", about);
    const times = u.data[0];
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
    let at = 0;
    const tell = () => {
      const said = wanted.map(([side, , label], n) => {
        const value = u.data[n + 1][nearest(u, n + 1, at)];
        return value == null ? null : `${side === "theirs" ? `${label} of the ${run.other}` : label} ${UNITS[chart](value)}`;
      });
      for (const [name, value] of Object.entries({ valuemin: times[0], valuemax: times[times.length - 1], valuenow: times[at], valuetext: [clock(times[at]), ...said.filter(Boolean)].join(", ") })) {
        u.over.setAttribute(`aria-${name}`, String(value));
      }
    };
    u.over.tabIndex = 0;
    u.over.setAttribute("role", "slider");
    u.over.setAttribute("aria-label", `${about.split(":")[0]}, moment of the run`);
    u.over.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      at = Math.min(Math.max(at + steps[event.key], 0), times.length - 1);
      u.setCursor({ left: u.valToPos(times[at], "x"), top: 0 });
      tell();
    });
    tell();
  }

  function redraw() {
    for (const [place, u] of charts) {
      u.destroy();
      draw(place);
    }
  }

  function drawAll() {
    for (const place of document.querySelectorAll(".plot")) {
      if (!charts.has(place)) draw(place);
    }
  }

  function drawWhenSeen() {
    const places = [...document.querySelectorAll(".plot")];
    if (places.length <= 12) return drawAll();
    const watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting && !charts.has(target)) draw(target);
      }
    }, { rootMargin: "400px" });
    places.forEach((place) => watcher.observe(place));
  }

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const u = charts.get(target);
      const width = Math.max(target.clientWidth, 240);
      if (u && u.width !== width) u.setSize({ width, height: u.height });
    }
  });

  /* paper is white and narrow */

  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme ?? "";
    root.dataset.theme = "light";
    drawAll();
    redraw();
    for (const u of charts.values()) u.setSize({ width: Math.min(u.width, 680), height: 210 });
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    redraw();
  });

  function download() {
    const file = new Blob([byId("tm-evidence").textContent], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = document.querySelector(".buttons").dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const theme = stored.get();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  nameTheme();
  document.querySelector(".buttons").hidden = false;
  byId("tm-theme").addEventListener("click", switchTheme);
  byId("tm-download").addEventListener("click", download);
  systemIsDark.addEventListener("change", () => { nameTheme(); redraw(); });
  drawWhenSeen();
  document.querySelectorAll(".plot").forEach((place) => resized.observe(place));
})();
