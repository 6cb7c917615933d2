// Line, step and dot charts as SVG: axes with units, values under the pointer or the arrow keys.
const SPACE = { left: 46, right: 14, top: 10, bottom: 40 };
const SVG_NAMES = document.querySelector("#theme svg").namespaceURI;

function shape(tag, settings, text) {
  const element = document.createElementNS(SVG_NAMES, tag);
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function niceTicks([low, high], count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find(factor => factor * power >= rough * 0.999);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-6; tick += step)
    ticks.push(Math.abs(tick) < step * 1e-6 ? 0 : tick);
  return ticks;
}

function logTicks([low, high]) {
  const ticks = [];
  for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high) + 1e-9; power++) ticks.push(10 ** power);
  return ticks;
}

// Draws `chart` into `host` and again whenever its width changes. A chart is
// { about, height, x: {label, domain, log, show}, y: {...}, cursor, marks: [{x, y, name}],
//   series: [{name, kind: "line" | "steps" | "dots", colour, faint, x, y, say(i), press(i)}] }
function drawChart(host, chart) {
  host.chart = chart;
  if (!host.watched) {
    host.watched = new ResizeObserver(() => { if (host.clientWidth !== host.drawn) redraw(host); });
    host.watched.observe(host);
  }
  redraw(host);
}

function redraw(host) {
  const chart = host.chart;
  const width = host.drawn = host.clientWidth;
  if (!width) return;
  const height = chart.height || 290;
  const inner = { left: SPACE.left, right: width - SPACE.right, top: SPACE.top, bottom: height - SPACE.bottom };
  const scale = (axis, from, to) => {
    const bend = axis.log ? Math.log10 : value => value;
    const [low, high] = axis.domain.map(bend);
    return value => from + (to - from) * (bend(value) - low) / (high - low || 1);
  };
  const x = scale(chart.x, inner.left, inner.right);
  const y = scale(chart.y, inner.bottom, inner.top);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "application", "aria-roledescription": "chart", "aria-label": `${chart.about}. Arrow keys step through its points.` });
  drawAxes(svg, chart, x, y, inner, width);
  const clip = `clip-${host.id}`;
  svg.append(shape("clipPath", { id: clip }));
  svg.lastChild.append(shape("rect", { x: inner.left - 5, y: inner.top - 6, width: inner.right - inner.left + 10, height: inner.bottom - inner.top + 12 }));
  const body = shape("g", { "clip-path": `url(#${clip})` });
  svg.append(body);
  for (const series of chart.series) drawSeries(body, series, x, y, inner);
  if (known(chart.cursor)) body.append(shape("line", { class: "cursor", x1: x(chart.cursor), x2: x(chart.cursor), y1: inner.top, y2: inner.bottom }));
  for (const mark of chart.marks || []) drawMark(body, mark, x, y, inner);
  const ring = shape("circle", { r: 5, class: "ring", visibility: "hidden" });
  body.append(ring);
  listen(svg, host, x, y, ring);
  replaceIn(host, svg);
}

function drawAxes(svg, chart, x, y, inner, width) {
  const ticksOf = (axis, count) => (axis.log ? logTicks(axis.domain) : niceTicks(axis.domain, count));
  for (const tick of ticksOf(chart.y, 5)) {
    svg.append(shape("line", { class: "gridline", x1: inner.left, x2: inner.right, y1: y(tick), y2: y(tick) }));
    svg.append(shape("text", { x: inner.left - 7, y: y(tick) + 4, "text-anchor": "end" }, chart.y.show(tick)));
  }
  for (const tick of ticksOf(chart.x, width < 420 ? 4 : 6)) {
    svg.append(shape("line", { class: "gridline", x1: x(tick), x2: x(tick), y1: inner.top, y2: inner.bottom }));
    svg.append(shape("text", { x: x(tick), y: inner.bottom + 17, "text-anchor": "middle" }, chart.x.show(tick)));
  }
  svg.append(shape("line", { class: "axis", x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom }));
  svg.append(shape("text", { class: "label", x: (inner.left + inner.right) / 2, y: inner.bottom + 35, "text-anchor": "middle" }, chart.x.label));
  svg.append(shape("text", { class: "label", x: -(inner.top + inner.bottom) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle" }, chart.y.label));
}

function drawSeries(body, series, x, y, inner) {
  const usable = i => known(series.x[i]) && known(series.y[i]);
  if (series.kind === "dots") {
    series.x.forEach((value, i) => {
      if (usable(i)) body.append(shape("circle", { cx: x(value), cy: y(series.y[i]), r: 3.5, style: `fill:${series.colour};fill-opacity:.55` }));
    });
    return;
  }
  let path = "", last = null;
  series.x.forEach((value, i) => {
    if (!usable(i)) return;
    const px = x(value), py = y(series.y[i]);
    if (series.kind === "steps") path += last === null ? `M${px} ${inner.bottom}V${py}` : `H${px}V${py}`;
    else path += `${last === null ? "M" : "L"}${px.toFixed(1)} ${py.toFixed(1)}`;
    last = px;
  });
  if (!path) return;
  if (series.kind === "steps") path += `H${x(series.end)}V${inner.bottom}`;
  body.append(shape("path", {
    d: path,
    style: `stroke:${series.colour};stroke-width:${series.faint ? 1.4 : 2.2};stroke-opacity:${series.faint ? 0.75 : 1};stroke-linejoin:round;fill:${series.kind === "steps" ? series.colour : "none"};fill-opacity:.16`,
  }));
}

function drawMark(body, mark, x, y, inner) {
  if (!known(mark.x) || !known(mark.y)) return;
  const right = x(mark.x) > (inner.left + inner.right) / 2;
  body.append(shape("circle", { cx: x(mark.x), cy: y(mark.y), r: 5, class: "ring", style: `stroke:${mark.colour}` }));
  if (mark.name) body.append(shape("text", { class: "label", x: x(mark.x) + (right ? -10 : 10), y: y(mark.y) + (mark.below ? 17 : -9), "text-anchor": right ? "end" : "start" }, mark.name));
}

function listen(svg, host, x, y, ring) {
  const chart = host.chart;
  const [place, point] = host.at || [];
  let at = host.contains(document.activeElement) && chart.series[place] ? [chart.series[place], point] : null;
  const show = (series, i, spoken) => {
    at = [series, i];
    host.at = [chart.series.indexOf(series), i];
    const middle = series.kind === "steps" ? (series.x[i] + (i + 1 < series.x.length ? series.x[i + 1] : series.end)) / 2 : series.x[i];
    ring.setAttribute("cx", x(middle));
    ring.setAttribute("cy", y(series.y[i]));
    ring.setAttribute("visibility", "visible");
    ring.style.stroke = series.colour;
    const box = svg.getBoundingClientRect();
    showTip(`${series.name}\n${series.say(i)}`, scrollX + box.left + x(middle), scrollY + box.top + y(series.y[i]), spoken);
  };
  const hide = () => { ring.setAttribute("visibility", "hidden"); hideTip(); };
  const nearest = event => {
    const box = svg.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    let best = null, distance = Infinity;
    for (const series of chart.series)
      series.x.forEach((value, i) => {
        if (!known(value) || !known(series.y[i])) return;
        const away = (x(value) - px) ** 2 + (y(series.y[i]) - py) ** 2;
        if (away < distance) { distance = away; best = [series, i]; }
      });
    return best;
  };
  svg.addEventListener("pointermove", event => { const best = nearest(event); if (best) show(...best); });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("click", event => { const best = nearest(event); if (best && best[0].press) best[0].press(best[1]); });
  svg.addEventListener("keydown", event => {
    if (event.key === "Enter" && at && at[0].press) at[0].press(at[1]);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], turn = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step && !turn) return;
    event.preventDefault();
    let place = at ? chart.series.indexOf(at[0]) : 0;
    if (turn && at) place = (place + turn + chart.series.length) % chart.series.length;
    const series = chart.series[place];
    if (!series || !series.x.length) return;
    const jump = Math.max(1, Math.floor(series.x.length / 100)) * (step || 0);
    let i = at && !turn ? at[1] + jump : Math.min(at ? at[1] : 0, series.x.length - 1);
    while (i > 0 && i < series.x.length - 1 && !(known(series.x[i]) && known(series.y[i]))) i += step || 1;
    i = Math.max(0, Math.min(series.x.length - 1, i));
    if (known(series.x[i]) && known(series.y[i])) show(series, i, true); else at = [series, i];
  });
}

const inPercent = value => String(Math.round(value * 1000) / 10);
const SHARE = { domain: [0, 1], show: inPercent };
