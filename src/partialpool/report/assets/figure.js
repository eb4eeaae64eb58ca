"use strict";
// The figure: one slider moves the coefficients on their path, the lines over the data and the
// shrinkage of the group effects. All text of the user goes through textContent.
(function () {
  const data = JSON.parse(document.getElementById("pp-data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const last = data.ratios.length - 1;
  const value = (x) => (x === null ? NaN : x);
  const ratio = (i) => (data.ratios[i] === null ? Infinity : data.ratios[i]);
  // 0 to infinity on one axis.
  const squeeze = (r) => (r === Infinity ? 1 : r / (1 + r));

  function number(x) {
    if (x === Infinity) return "∞";
    if (!Number.isFinite(x)) return "–";
    const size = Math.abs(x);
    let text;
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) text = x.toExponential(3);
    else text = x.toFixed(size >= 1000 ? 1 : size >= 100 ? 2 : size >= 1 ? 3 : 5);
    return text.replace("-", "−");
  }

  function element(name, attributes, text) {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function ticks(low, high, count) {
    const span = high - low || 1;
    const raw = span / count;
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) || raw;
    const out = [];
    for (let t = Math.ceil(low / step) * step; t <= high + 1e-9 * span; t += step) {
      out.push(Math.abs(t) < 1e-12 * span ? 0 : t);
    }
    return { at: out, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  // A picture with axes; x and y map data to it.
  function frame(host, width, height, box, domain, labels) {
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    host.appendChild(svg);
    const x = (v) => box.left + ((v - domain.x[0]) / (domain.x[1] - domain.x[0] || 1)) * (width - box.left - box.right);
    const y = (v) => height - box.bottom - ((v - domain.y[0]) / (domain.y[1] - domain.y[0] || 1)) * (height - box.bottom - box.top);
    if (labels.yTicks !== false) {
      const t = ticks(domain.y[0], domain.y[1], 5);
      for (const v of t.at) {
        svg.appendChild(element("line", { class: "grid", x1: box.left, x2: width - box.right, y1: y(v), y2: y(v) }));
        svg.appendChild(element("text", { class: "soft", x: box.left - 6, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(Math.min(t.digits, 8)).replace("-", "−")));
      }
    }
    const marks = labels.xMarks || (() => {
      const t = ticks(domain.x[0], domain.x[1], 5);
      return t.at.map((v) => [v, v.toFixed(Math.min(t.digits, 8)).replace("-", "−")]);
    })();
    for (const [v, text] of marks) {
      svg.appendChild(element("line", { class: "tick", x1: x(v), x2: x(v), y1: height - box.bottom, y2: height - box.bottom + 4 }));
      svg.appendChild(element("text", { class: "soft", x: x(v), y: height - box.bottom + 17, "text-anchor": "middle" }, text));
    }
    svg.appendChild(element("line", { class: "axis", x1: box.left, x2: width - box.right, y1: height - box.bottom, y2: height - box.bottom }));
    if (labels.x) svg.appendChild(element("text", { x: (box.left + width - box.right) / 2, y: height - 4, "text-anchor": "middle" }, labels.x));
    if (labels.y) svg.appendChild(element("text", { x: 2, y: 12 }, labels.y));
    return { svg, x, y };
  }

  function padded(values, share) {
    const found = values.filter(Number.isFinite);
    let low = Math.min(...found), high = Math.max(...found);
    if (!found.length) return [0, 1];
    if (low === high) { const d = Math.abs(low) * 0.05 || 1; return [low - d, high + d]; }
    const pad = (high - low) * share;
    return [low - pad, high + pad];
  }

  // -- coefficients on their path -----------------------------------------------------------------

  const paths = [];
  function drawPaths() {
    const host = document.getElementById("pp-paths");
    if (!host) return;
    data.shown.forEach((j) => {
      const values = data.coefficients.map((row) => value(row[j]));
      const holder = document.createElement("div");
      host.appendChild(holder);
      const f = frame(holder, 280, 190, { left: 52, right: 16, top: 30, bottom: 36 },
        { x: [0, 1], y: padded(values, 0.22) },
        { y: data.terms[j], xMarks: [[0, "0"], [0.5, "1"], [1, "∞"]], x: data.ratioShort });
      const d = values.map((v, i) => `${i ? "L" : "M"}${f.x(squeeze(ratio(i))).toFixed(2)},${f.y(v).toFixed(2)}`).join("");
      f.svg.appendChild(element("path", { class: "path", d }));
      [[0, "lm"], [data.fitted, data.method], [last, "no pooling"]].forEach(([i, name]) => {
        const px = f.x(squeeze(ratio(i))), py = f.y(values[i]);
        f.svg.appendChild(element("circle", { class: "stop", cx: px, cy: py, r: 3.5 }));
        const up = values[i] >= values[0] && values[i] >= values[last] || i === 0 && values[0] >= values[last];
        const anchor = i === 0 ? "start" : i === last ? "end" : "middle";
        f.svg.appendChild(element("text", { class: "soft", x: px, y: py + (up ? -9 : 18), "text-anchor": anchor }, name));
      });
      const mark = element("circle", { class: "mark", r: 6 });
      f.svg.appendChild(mark);
      paths.push((i) => {
        mark.setAttribute("cx", f.x(squeeze(ratio(i))));
        mark.setAttribute("cy", f.y(values[i]));
        f.svg.setAttribute("aria-label", `${data.terms[j]} from lm ${number(values[0])} to no pooling ${number(values[last])}; now ${number(values[i])}`);
      });
    });
  }

  // -- lines over the data ------------------------------------------------------------------------

  let chosen = -1;
  const lines = [];
  function heights(g, i) {
    const one = data.lines.groups[g];
    return one.X.map((row, m) => {
      let v = one.o[m];
      row.forEach((x, j) => { v += x * value(data.kept[i][j]); });
      one.Z[m].forEach((z, k) => { v += z * value(data.lines.effects[i][g][k]); });
      return v;
    });
  }
  function drawLines() {
    const host = document.getElementById("pp-lines");
    if (!host || !data.lines) return;
    const all = [...data.lines.points.y];
    for (const i of [0, data.fitted, last]) data.lines.groups.forEach((_, g) => all.push(...heights(g, i)));
    const f = frame(host, 440, 330, { left: 46, right: 12, top: 24, bottom: 40 },
      { x: padded(data.lines.points.x.concat(...data.lines.groups.map((one) => one.x)), 0.03), y: padded(all, 0.04) },
      { x: data.lines.x, y: data.response });
    const points = data.lines.points.x.map((v, m) => {
      const node = element("circle", { class: "point", cx: f.x(v).toFixed(1), cy: f.y(data.lines.points.y[m]).toFixed(1), r: 2.6 });
      f.svg.appendChild(node);
      return node;
    });
    const drawn = data.lines.groups.map((one) => {
      const node = element("path", { class: "line" });
      node.appendChild(element("title", {}, one.level));
      f.svg.appendChild(node);
      return node;
    });
    lines.push((i) => {
      data.lines.groups.forEach((one, g) => {
        const h = heights(g, i);
        drawn[g].setAttribute("d", one.x.map((v, m) => `${m ? "L" : "M"}${f.x(v).toFixed(1)},${f.y(h[m]).toFixed(1)}`).join(""));
        drawn[g].setAttribute("class", g === chosen ? "line chosen" : "line");
      });
      points.forEach((node, m) => node.setAttribute("class", data.lines.points.g[m] === chosen ? "point chosen" : "point"));
      f.svg.setAttribute("aria-label", `${data.response} over ${data.lines.x}: ${data.lines.points.x.length} rows and a line for each of ${data.lines.groups.length} levels of ${data.group}`);
    });
    const select = document.getElementById("pp-level");
    data.lines.groups.forEach((one, g) => {
      const option = document.createElement("option");
      option.value = String(g);
      option.textContent = one.level;
      select.appendChild(option);
    });
    select.addEventListener("change", () => { chosen = Number(select.value); show(current); });
  }

  // -- shrinkage of the group effects -------------------------------------------------------------

  const shrinkage = [];
  function drawShrinkage() {
    const host = document.getElementById("pp-shrinkage");
    if (!host || !data.effects) return;
    const e = data.effects;
    const none = e.values[last].map(value);
    const order = none.map((_, g) => g).sort((a, b) => none[b] - none[a]);
    const row = 20, top = 30, height = top + row * order.length + 42;
    const longest = Math.min(18, Math.max(...e.levels.map((l) => l.length)));
    const left = 14 + 7 * longest;
    const f = frame(host, 460, height, { left, right: 14, top, bottom: 40 },
      { x: padded(none.concat([0], e.values[data.fitted].map(value)), 0.07), y: [0, 1] },
      { x: e.label, yTicks: false });
    f.svg.appendChild(element("line", { class: "zero", x1: f.x(0), x2: f.x(0), y1: top - 10, y2: height - 40 }));
    const largest = Math.max(...e.n);
    const marks = order.map((g, at) => {
      const y = top + row * at + row / 2;
      const name = e.levels[g].length > 18 ? e.levels[g].slice(0, 17) + "…" : e.levels[g];
      f.svg.appendChild(element("text", { class: "soft", x: left - 8, y: y + 4, "text-anchor": "end" }, name));
      const line = element("line", { class: "arrow", x1: f.x(none[g]), y1: y, y2: y });
      f.svg.appendChild(line);
      f.svg.appendChild(element("circle", { class: "hollow", cx: f.x(none[g]), cy: y, r: 3.2 }));
      const mark = element("circle", { class: "mark", cy: y, r: (3 + 4 * Math.sqrt(e.n[g] / largest)).toFixed(1) });
      mark.appendChild(element("title", {}, `${e.levels[g]}: ${e.n[g]} rows`));
      f.svg.appendChild(mark);
      return { g, line, mark };
    });
    shrinkage.push((i) => {
      for (const m of marks) {
        const at = f.x(value(e.values[i][m.g]));
        m.mark.setAttribute("cx", at);
        m.line.setAttribute("x2", at);
      }
      f.svg.setAttribute("aria-label", `${e.label} for ${e.levels.length} levels of ${data.group}; hollow: no pooling, filled: now`);
    });
  }

  // -- the slider ---------------------------------------------------------------------------------

  const slider = document.getElementById("pp-slider");
  const buttons = [...document.querySelectorAll(".stops button")];
  const now = document.getElementById("pp-now");
  const cells = [...document.querySelectorAll("#pp-table td.current")];
  let current = data.fitted;
  function place(i) {
    const name = i === 0 ? "lm, complete pooling" : i === last ? "no pooling" : i === data.fitted ? `lmer (${data.method}), partial pooling` : "";
    return `${data.ratioName} = ${number(ratio(i))}${name ? " (" + name + ")" : ""}`;
  }
  function show(i) {
    current = i;
    slider.value = String(i);
    slider.setAttribute("aria-valuetext", place(i));
    now.textContent = place(i);
    cells.forEach((cell) => {
      const v = value(data.coefficients[i][Number(cell.dataset.term)]);
      cell.textContent = number(v);
      cell.dataset.value = String(v);
    });
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(Number(b.dataset.at) === i)));
    for (const draw of [...paths, ...lines, ...shrinkage]) draw(i);
  }
  drawPaths();
  drawLines();
  drawShrinkage();
  slider.addEventListener("input", () => show(Number(slider.value)));
  buttons.forEach((b) => b.addEventListener("click", () => show(Number(b.dataset.at))));
  show(data.fitted);
})();
