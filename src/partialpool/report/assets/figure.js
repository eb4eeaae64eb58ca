"use strict";
// The figure: one slider moves the coefficients on their path, the lines over the data and the
// shrinkage of the group effects. All text of the user goes through textContent.
(function () {
  const source = document.getElementById("pp-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const NS = "http://www.w3.org/2000/svg";
  const last = data.ratios.length - 1;
  const value = (x) => (x === null ? NaN : x);
  const ratio = (i) => (data.ratios[i] === null ? Infinity : data.ratios[i]);
  const squeeze = (r) => (r === Infinity ? 1 : r / (1 + r)); // 0 to infinity on one axis
  const LETTER = 13; // px, as in the style
  let current = data.fitted;
  let chosen = -1;

  // -- numbers and elements -----------------------------------------------------------------------

  // As many decimals as the table has in this row; otherwise four significant digits.
  function number(x, digits) {
    if (x === Infinity) return "∞";
    if (!Number.isFinite(x)) return "–";
    if (digits !== undefined && digits !== "") return x.toFixed(Number(digits));
    if (x === 0) return "0";
    const size = Math.abs(x);
    if (size < 1e-4 || size >= 1e7) return x.toExponential(3);
    return x.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size))));
  }
  const signed = (text) => text.replace("-", "−");

  function element(name, attributes, text) {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // Text of the user, cut to fit, whole in its title.
  function label(svg, attributes, text, room) {
    const node = element("text", attributes, text);
    svg.appendChild(node);
    if (node.getComputedTextLength() <= room) return node;
    const letters = [...text];
    let keep = letters.length;
    do {
      keep = Math.min(keep - 1, Math.floor((keep * room) / node.getComputedTextLength()));
      node.textContent = letters.slice(0, Math.max(keep, 1)).join("") + "…";
    } while (keep > 1 && node.getComputedTextLength() > room);
    node.appendChild(element("title", {}, text));
    return node;
  }

  // -- axes ---------------------------------------------------------------------------------------

  function ticks(low, high, count) {
    const span = high - low || 1;
    const power = Math.pow(10, Math.floor(Math.log10(span / count)));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) || 10 * power;
    const digits = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
    const out = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k += 1) out.push(k * step);
    const size = Math.max(Math.abs(low), Math.abs(high));
    const text = (t) => {
      if (Math.abs(t) < 1e-9 * span) return "0";
      if (size >= 1e6 || size < 1e-4) return signed(Number(t.toPrecision(6)).toExponential());
      return signed(t.toFixed(digits));
    };
    return out.map((t) => [t, text(t)]);
  }

  function padded(values, share) {
    const found = values.filter(Number.isFinite);
    if (!found.length) return [0, 1];
    const low = found.reduce((a, b) => Math.min(a, b)), high = found.reduce((a, b) => Math.max(a, b));
    const pad = high > low ? (high - low) * share : Math.abs(low) * 0.05 || 1;
    return [low - pad, high + pad];
  }

  // A picture with axes; x and y map data to it. One unit is one pixel, so that letters keep their
  // size on a phone.
  function frame(host, height, box, domain, labels) {
    const width = Math.max(240, Math.floor(host.clientWidth));
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img" });
    host.replaceChildren(svg);
    const yMarks = labels.yMarks || ticks(domain.y[0], domain.y[1], 5);
    if (yMarks.length && !box.left) {
      const probe = element("text", {});
      svg.appendChild(probe);
      box.left = 10 + yMarks.map(([, text]) => { probe.textContent = text; return probe.getComputedTextLength(); })
        .reduce((a, b) => Math.max(a, b), 24);
      probe.remove();
    }
    const right = width - box.right, bottom = height - box.bottom;
    const x = (v) => box.left + ((v - domain.x[0]) / (domain.x[1] - domain.x[0] || 1)) * (right - box.left);
    const y = (v) => bottom - ((v - domain.y[0]) / (domain.y[1] - domain.y[0] || 1)) * (bottom - box.top);
    for (const [v, text] of yMarks) {
      svg.appendChild(element("line", { class: "grid", x1: box.left, x2: right, y1: y(v), y2: y(v) }));
      svg.appendChild(element("text", { class: "soft", x: box.left - 6, y: y(v) + 4, "text-anchor": "end" }, text));
    }
    const xMarks = labels.xMarks || ticks(domain.x[0], domain.x[1], width < 400 ? 4 : 6);
    const room = xMarks.length > 1 ? (right - box.left) / xMarks.length - 6 : right - box.left;
    const named = labels.xMarks && room < 14 ? [] : xMarks; // too many names: the list has them
    for (const [v, text] of named) {
      svg.appendChild(element("line", { class: "tick", x1: x(v), x2: x(v), y1: bottom, y2: bottom + 4 }));
      label(svg, { class: "soft", x: x(v), y: bottom + 17, "text-anchor": "middle" }, text, Math.max(room, 24));
    }
    svg.appendChild(element("line", { class: "axis", x1: box.left, x2: right, y1: bottom, y2: bottom }));
    const middle = (box.left + right) / 2;
    if (labels.x) label(svg, { x: middle, y: height - 5, "text-anchor": "middle" }, labels.x, 2 * Math.min(middle, width - middle));
    if (labels.y) label(svg, { class: "name", x: 0, y: LETTER }, labels.y, width);
    return { svg, x, y, width, right, left: box.left };
  }

  // -- coefficients on their path -----------------------------------------------------------------

  const AXIS = [[0, "0"], [squeeze(1 / 3), "1/3"], [0.5, "1"], [0.75, "3"], [1, "∞"]];

  function drawPaths(host) {
    const draws = [];
    const holders = data.shown.map(() => document.createElement("div"));
    host.replaceChildren(...holders); // all of them first: their number decides their width
    data.shown.forEach((j, k) => {
      const values = data.coefficients.map((row) => value(row[j]));
      const here = values[data.fitted], se = value(data.se[j]) || 0;
      const bar = [here - se, here + se];
      const height = 210, box = { right: 12, top: 30, bottom: 42 };
      let [low, high] = padded([...values, ...bar], 0);
      const pad = ((high - low) * 24) / (height - box.top - box.bottom - 48); // room for the labels
      const f = frame(holders[k], height, box, { x: [0, 1], y: [low - pad, high + pad] },
        { y: data.terms[j], xMarks: AXIS, x: data.ratioName });
      const px = (i) => f.x(squeeze(ratio(i))), py = (i) => f.y(values[i]);
      const d = values.map((v, i) => `${i ? "L" : "M"}${px(i).toFixed(2)},${py(i).toFixed(2)}`).join("");
      const at = px(data.fitted);
      if (se > 0) {
        for (const v of bar) f.svg.appendChild(element("line", { class: "bar", x1: at - 4, x2: at + 4, y1: f.y(v), y2: f.y(v) }));
        f.svg.appendChild(element("line", { class: "bar", x1: at, x2: at, y1: f.y(bar[0]), y2: f.y(bar[1]) }));
      }
      f.svg.appendChild(element("path", { class: "path", d }));
      const taken = [];
      const write = (i, name, anchor, high, low, up) => {
        const node = element("text", { class: "soft", "text-anchor": anchor }, name);
        f.svg.appendChild(node);
        const wide = node.getComputedTextLength();
        const half = anchor === "middle" ? wide / 2 : 0;
        const x = anchor === "middle" ? Math.min(Math.max(px(i), f.left + half), f.right - half) : px(i);
        const from = anchor === "end" ? x - wide : x - half;
        const place = (above) => (above ? high - 8 : low + 18);
        const clash = (y) => taken.some(([a, b, c]) => from < b + 6 && from + wide > a - 6 && Math.abs(y - c) < 14);
        let y = place(up);
        if (clash(y) && !clash(place(!up))) y = place(!up);
        taken.push([from, from + wide, y]);
        node.setAttribute("x", x);
        node.setAttribute("y", y);
      };
      const near = (i) => values[i === 0 ? Math.min(last, 8) : Math.max(0, last - 20)];
      const name = data.fitted ? "lm" : `lm = ${data.method}`;
      write(0, name, "start", data.fitted ? py(0) : f.y(bar[1]), data.fitted ? py(0) : f.y(bar[0]), values[0] >= near(0));
      write(last, "no pooling", "end", py(last), py(last), values[last] >= near(last));
      if (data.fitted) write(data.fitted, data.method, "middle", f.y(bar[1]), f.y(bar[0]), true);
      for (const i of [0, data.fitted, last]) f.svg.appendChild(element("circle", { class: "stop", cx: px(i), cy: py(i), r: 4 }));
      const mark = element("circle", { class: "mark", r: 7 });
      f.svg.appendChild(mark);
      draws.push((i) => {
        mark.setAttribute("cx", px(i));
        mark.setAttribute("cy", py(i));
        const [a, b, z, n] = [values[0], here, values[last], values[i]].map((v) => signed(number(v)));
        f.svg.setAttribute("aria-label", `${data.terms[j]}: lm ${a}, lmer ${b}, no pooling ${z}; now ${n}`);
      });
    });
    return draws;
  }

  // -- lines over the data ------------------------------------------------------------------------

  function heights(g, i) {
    const one = data.lines.groups[g];
    return one.X.map((row, m) => {
      let v = one.o[m];
      row.forEach((x, j) => { v += x * value(data.kept[i][j]); });
      one.Z[m].forEach((z, k) => { v += z * value(data.lines.effects[i][g][k]); });
      return v;
    });
  }

  function drawLines(host) {
    const L = data.lines;
    const all = [...L.points.y];
    for (const i of [0, data.fitted, last]) L.groups.forEach((_, g) => all.push(...heights(g, i)));
    const across = L.points.x.concat(...L.groups.map((one) => one.x));
    let xMarks;
    if (L.marks) xMarks = L.marks.map((text, k) => [k, text]);
    if (L.strips) xMarks = L.groups.map((one) => [(one.x[0] + one.x[1]) / 2, one.level]);
    const f = frame(host, 360, { right: 12, top: 28, bottom: 44 },
      { x: L.marks ? [-0.4, L.marks.length - 0.6] : padded(across, 0.03), y: padded(all, 0.04) },
      { x: L.x, y: data.response, xMarks });
    const d = (one, h) => one.x.map((v, m) => `${m ? "L" : "M"}${f.x(v).toFixed(1)},${f.y(h[m]).toFixed(1)}`).join("");
    const points = L.points.x.map((v, m) => {
      const node = element("circle", { class: "point", cx: f.x(v).toFixed(1), cy: f.y(L.points.y[m]).toFixed(1), r: 2.8 });
      f.svg.appendChild(node);
      return node;
    });
    const layer = element("g", {});
    f.svg.appendChild(layer);
    const drawn = L.groups.map((one) => {
      const node = element("path", { class: "line" });
      node.appendChild(element("title", {}, one.level));
      layer.appendChild(node);
      return node;
    });
    // lm's line: one where levels share it, so that dashes do not fill each other's gaps.
    const straight = (points) => points.map(([v, h], m) => `${m ? "L" : "M"}${f.x(v).toFixed(1)},${f.y(h).toFixed(1)}`).join("");
    const lm = L.groups.map((one, g) => { const h = heights(g, 0); return one.x.map((v, m) => [v, h[m]]); });
    const shared = L.shared ? [lm.flat().sort((a, b) => a[0] - b[0])] : lm;
    for (const text of new Set(shared.map(straight))) f.svg.appendChild(element("path", { class: "reference", d: text }));
    f.svg.setAttribute("aria-label", `${data.response} over ${L.x}: ${L.points.x.length} rows, and a ${L.strips ? "mean" : "line"} for each of ${L.groups.length} levels of ${data.group}`);
    const many = L.groups.length > 12 ? " many" : "";
    const crowd = points.length > 500 ? "point many" : "point";
    return [(i) => {
      L.groups.forEach((one, g) => {
        drawn[g].setAttribute("d", d(one, heights(g, i)));
        drawn[g].setAttribute("class", g === chosen ? "line chosen" : `line${many}`);
      });
      if (chosen >= 0) layer.appendChild(drawn[chosen]); // on top
      points.forEach((node, m) => node.setAttribute("class", L.points.g[m] === chosen ? "point chosen" : crowd));
    }];
  }

  // -- shrinkage of the group effects -------------------------------------------------------------

  function drawShrinkage(host) {
    const e = data.panels[Number(host.dataset.panel)];
    const none = e.values[last].map(value);
    const order = none.map((_, g) => g).sort((a, b) => none[b] - none[a]);
    const row = order.length > 20 ? 17 : 22, top = 12, height = top + row * order.length + 46;
    const wide = Math.max(240, host.clientWidth);
    const probe = element("svg", {});
    host.replaceChildren(probe);
    const text = element("text", {});
    probe.appendChild(text);
    const longest = e.levels.map((l) => { text.textContent = l; return text.getComputedTextLength(); }).reduce((a, b) => Math.max(a, b));
    const left = 14 + Math.min(longest, wide * 0.34);
    const f = frame(host, height, { left, right: 14, top, bottom: 44 },
      { x: padded([0, ...none, ...e.values[data.fitted].map(value)], 0.07), y: [0, 1] },
      { x: e.label, yMarks: [] });
    f.svg.appendChild(element("line", { class: "zero", x1: f.x(0), x2: f.x(0), y1: top - 6, y2: height - 44 }));
    const largest = e.n.reduce((a, b) => Math.max(a, b));
    const marks = order.map((g, at) => {
      const y = top + row * at + row / 2;
      const name = label(f.svg, { class: "soft", x: left - 8, y: y + 4, "text-anchor": "end" }, e.levels[g], left - 10);
      const line = element("line", { class: "arrow", x1: f.x(none[g]), y1: y, y2: y });
      f.svg.appendChild(line);
      const mark = element("circle", { class: "mark", cy: y, r: (3 + 3.5 * Math.sqrt(e.n[g] / largest)).toFixed(1) });
      mark.appendChild(element("title", {}, `${e.levels[g]}: ${e.n[g]} rows`));
      f.svg.appendChild(mark);
      // On top, so that it stays visible where nothing is shrunk.
      f.svg.appendChild(element("circle", { class: "hollow", cx: f.x(none[g]), cy: y, r: 3.6 }));
      return { g, name, line, mark };
    });
    f.svg.setAttribute("aria-label", `${e.label}, ${e.levels.length} levels; hollow: no pooling, filled: now`);
    return [(i) => {
      for (const m of marks) {
        const at = f.x(value(e.values[i][m.g]));
        m.mark.setAttribute("cx", at);
        m.line.setAttribute("x2", at);
        const own = chosen >= 0 && e.group === data.group && m.g === chosen;
        m.name.setAttribute("class", own ? "picked" : "soft");
        m.mark.setAttribute("class", own ? "mark picked" : "mark");
      }
    }];
  }

  // -- the slider ---------------------------------------------------------------------------------

  const slider = document.getElementById("pp-slider");
  const buttons = [...document.querySelectorAll(".stops button")];
  const now = document.getElementById("pp-now");
  const said = document.getElementById("pp-said");
  const select = document.getElementById("pp-level");
  const cells = [...document.querySelectorAll("#pp-table td.current")];
  let pending = 0;

  function stop(i) {
    if (i === last) return "no pooling";
    if (i === 0) return data.fitted ? "lm, complete pooling" : `lm and lmer (${data.method})`;
    return i === data.fitted ? `lmer (${data.method}), partial pooling` : "";
  }
  function place(i) {
    const name = stop(i);
    return `${number(ratio(i))}${name ? `, ${name}` : ""}`;
  }
  // The coefficients in words, for who cannot see them move: once the slider rests.
  function tell() {
    clearTimeout(pending);
    pending = setTimeout(() => {
      const shown = data.shown.length ? data.shown : [data.terms.length - 1];
      said.textContent = shown.slice(0, 4).map((j) => `${data.terms[j]} ${signed(number(value(data.coefficients[current][j])))}`).join(", ");
    }, 700);
  }
  function show(i) {
    current = i;
    slider.value = String(i);
    slider.setAttribute("aria-valuetext", place(i));
    now.textContent = `= ${place(i)}`;
    cells.forEach((cell) => {
      const v = value(data.coefficients[i][Number(cell.dataset.term)]);
      cell.textContent = number(v, cell.dataset.digits);
      cell.dataset.value = String(v);
    });
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(Number(b.dataset.at) === i)));
    for (const host of hosts) for (const draw of host.draws) draw(i);
  }

  // -- everything, at the width there is ----------------------------------------------------------

  for (const node of document.querySelectorAll("#figure [hidden]")) node.hidden = false;
  const hosts = [
    ...[...document.querySelectorAll("#pp-paths")].map((node) => ({ node, make: drawPaths })),
    ...[...document.querySelectorAll("#pp-lines")].map((node) => ({ node, make: drawLines })),
    ...[...document.querySelectorAll(".pp-shrinkage")].map((node) => ({ node, make: drawShrinkage })),
  ];
  function draw() {
    for (const host of hosts) {
      host.width = host.node.clientWidth;
      host.draws = host.make(host.node);
    }
    show(current);
  }
  if (select) {
    data.lines.groups.forEach((one, g) => {
      const option = document.createElement("option");
      option.value = String(g);
      option.textContent = one.level;
      select.appendChild(option);
    });
    select.addEventListener("change", () => { chosen = Number(select.value); show(current); });
  }
  slider.addEventListener("input", () => { show(Number(slider.value)); tell(); });
  buttons.forEach((b) => b.addEventListener("click", () => { show(Number(b.dataset.at)); tell(); }));
  draw();
  let waiting = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      if (hosts.some((host) => host.width !== host.node.clientWidth)) draw();
    });
  });
})();
