// The page of one evaluation: the chosen set, detector and threshold, and all that follows them.
const state = { set: DATA.sets[0], detector: null, mode: "official", threshold: NaN, way: null, hidden: new Set() };

function chooseSet(place) {
  state.set = DATA.sets[place];
  find("detector").replaceChildren(...state.set.detectors.map((one, i) => make("option", { value: i, textContent: isolated(one.name) })));
  const modes = ["official", "exact"].filter(mode => state.set.detectors.some(one => one.curves[mode]));
  find("mode").hidden = modes.length < 2;
  if (!modes.includes(state.mode)) state.mode = modes[0];
  document.querySelectorAll("[name=mode]").forEach(input => { input.checked = input.value === state.mode; });
  state.hidden.clear();
  chooseDetector(0);
}

function chooseDetector(place) {
  state.detector = state.set.detectors[place];
  find("detector").value = place;
  drawWays();
  chooseWay(0);
  drawLegend();
  drawComponents();
  drawTimes();
  drawFrameTable();
  drawWorst();
}

const ways = () => state.detector.thresholds.filter(way => known(way.threshold));

function chooseWay(place) {
  state.way = ways()[place] || null;
  setThreshold(state.way ? state.way.threshold : (state.detector.official.best_f1_threshold ?? state.detector.exact.best_f1_threshold));
}

function range() {
  const edges = state.detector.histogram.edges;
  const inside = ways().map(way => way.threshold);
  return [Math.min(edges[0], ...inside), Math.max(edges[edges.length - 1], ...inside)];
}

function setThreshold(value) {
  const [low, high] = range();
  state.threshold = known(value) ? value : (low + high) / 2;
  find("threshold").value = Math.round(1000 * (state.threshold - low) / (high - low || 1));
  afterThreshold();
}

function slide() {
  const [low, high] = range();
  state.threshold = low + (high - low) * find("threshold").value / 1000;
  state.way = null;
  afterThreshold();
}

function afterThreshold() {
  find("threshold-value").textContent = plain(state.threshold);
  find("threshold").setAttribute("aria-valuetext", plain(state.threshold));
  find("masks-threshold").textContent = `mask at threshold ${plain(state.threshold)}${state.way ? ` (${wayName(state.way)})` : ""}`;
  [...find("ways").children].forEach((button, i) => button.setAttribute("aria-pressed", ways()[i] === state.way));
  drawFigures();
  drawCurves();
  drawHistogram();
  redrawMasks();
}

const wayName = way => way.way + (known(way.stated) ? ` ${plain(100 * way.stated)} %` : "");

function drawWays() {
  find("ways").replaceChildren(...ways().map((way, i) => make("button", { type: "button", textContent: wayName(way), title: `chosen on ${way.fitted_on}`, onclick: () => chooseWay(i) })));
}

const curveOf = detector => detector.curves[state.mode] || Object.values(detector.curves)[0];

// Rates at a threshold, between the points of the thinned curve; precision follows from the counts.
function ratesAt(detector, threshold) {
  const curve = curveOf(detector);
  const sum = values => values.reduce((total, one) => total + one, 0);
  const anomaly = sum(detector.histogram.anomaly), inlier = sum(detector.histogram.inlier);
  const height = i => (known(curve.thresholds[i]) ? curve.thresholds[i] : Infinity);
  let low = 0, high = curve.thresholds.length - 1;
  if (high < 0) return { tpr: NaN, fpr: NaN, precision: NaN, f1: NaN };
  if (threshold > height(0)) high = low;
  else if (threshold <= height(high)) low = high;
  else while (high - low > 1) { const middle = (low + high) >> 1; if (height(middle) >= threshold) low = middle; else high = middle; }
  const width = height(low) - height(high);
  const part = Number.isFinite(width) && width > 0 ? (height(low) - threshold) / width : 0;
  const between = values => values[low] + (values[high] - values[low]) * part;
  const tpr = threshold > height(0) ? 0 : between(curve.recall), fpr = threshold > height(0) ? 0 : between(curve.fpr);
  const tp = tpr * anomaly, fp = fpr * inlier;
  const precision = tp + fp > 0 ? tp / (tp + fp) : 1;
  return { tpr, fpr, precision, f1: 2 * tp / (tp + fp + anomaly) };
}

function drawFigures() {
  const way = state.way, rates = way || ratesAt(state.detector, state.threshold);
  const rows = [["TPR", rates.tpr], ["FPR", rates.fpr], ["precision", rates.precision], ["F1", rates.f1]];
  if (way) rows.push(["sIoU", way.siou], ["PPV", way.ppv], ["mean F1", way.component_f1]);
  find("figures").replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", { textContent: `${name}, %` }), make("dd", { textContent: percent(value) }))));
}

function drawLegend() {
  replaceIn(find("legend"), ...state.set.detectors.map((one, i) => {
    const button = make("button", { type: "button" }, make("i", { style: `background:${colour(i)}` }), make("bdi", { textContent: one.name }));
    button.setAttribute("aria-pressed", !state.hidden.has(one.name));
    button.title = `learned from ${one.learned}`;
    button.onclick = () => {
      if (!state.hidden.delete(one.name)) state.hidden.add(one.name);
      drawLegend();
      drawCurves();
    };
    return button;
  }));
}

function drawCurves() {
  const at = state.way || ratesAt(state.detector, state.threshold);
  const own = colour(state.set.detectors.indexOf(state.detector));
  const shown = state.set.detectors.map((detector, i) => ({ name: detector.name, curve: curveOf(detector), colour: colour(i), faint: detector !== state.detector }));
  drawRates(shown.filter(line => !state.hidden.has(line.name)), { tpr: at.tpr, fpr: at.fpr, precision: at.precision, colour: own });
  const curve = curveOf(state.detector), [low, high] = range();
  const inside = curve.thresholds.map((value, i) => i).filter(i => known(curve.thresholds[i]) && curve.thresholds[i] >= low && curve.thresholds[i] <= high);
  const pick = name => inside.map(i => curve[name][i]);
  const best = inside.reduce((most, i) => (most === null || curve.f1[i] > curve.f1[most] ? i : most), null);
  const marks = best === null ? [] : [{ x: curve.thresholds[best], y: curve.f1[best], colour: own, name: `best ${percent(curve.f1[best])}` }];
  const tops = Math.max(0.1, ...pick("f1").filter(known));
  drawChart(find("f1"), {
    about: "F1 over the threshold", x: { domain: [low, high], show: plain, label: "threshold, score" }, y: { domain: [0, Math.min(1, Math.ceil(tops * 11) / 10)], show: inPercent, label: "F1, %" }, cursor: state.threshold, marks,
    series: [{ name: state.detector.name, kind: "line", colour: own, x: pick("thresholds"), y: pick("f1"), say: i => `threshold ${plain(curve.thresholds[inside[i]])}\nF1 ${percent(curve.f1[inside[i]])} %`, press: i => { state.way = null; setThreshold(curve.thresholds[inside[i]]); } }],
  });
}

function drawHistogram() {
  const { edges, inlier, anomaly } = state.detector.histogram;
  const series = [["inlier", inlier], ["anomaly", anomaly]].map(([name, counts]) => {
    const total = counts.reduce((sum, one) => sum + one, 0) || 1;
    return { name, kind: "steps", colour: `var(--${name})`, x: edges.slice(0, -1), end: edges[edges.length - 1], y: counts.map(count => count / total), say: i => `scores ${plain(edges[i])} to ${plain(edges[i + 1])}\n${percent(counts[i] / total)} % of its pixels, ${counts[i].toLocaleString("en")}` };
  });
  const top = Math.max(0.01, ...series.flatMap(one => one.y));
  drawChart(find("histogram"), { about: "Share of inlier and anomaly pixels by score", x: { domain: range(), show: plain, label: "score" }, y: { domain: [0, top * 1.05], show: inPercent, label: "share of pixels, %" }, cursor: state.threshold, series });
}

function drawComponents() {
  const objects = state.detector.objects, frames = state.detector.frames;
  const sizes = objects.map(one => one[1]);
  const domain = sizes.length ? [10 ** Math.floor(Math.log10(Math.min(...sizes))), 10 ** Math.ceil(Math.log10(Math.max(...sizes) + 1))] : [1, 1e6];
  drawChart(find("components"), {
    about: "sIoU of labelled objects over their size", x: { domain, log: true, show: short, label: "size of the labelled object, pixels" }, y: { ...SHARE, label: "sIoU, %" },
    series: [{ name: state.detector.name, kind: "dots", colour: colour(state.set.detectors.indexOf(state.detector)), x: sizes, y: objects.map(one => one[2]), say: i => `${frames[objects[i][0]].id}\n${sizes[i].toLocaleString("en")} pixels, sIoU ${percent(objects[i][2])} %`, press: i => openViewer(frames[objects[i][0]].id) }],
  });
}

function drawTimes() {
  if (!find("times")) return;
  const series = state.set.detectors.map((one, i) => ({ name: one.name, kind: "dots", colour: colour(i), x: one.frames.map((_, at) => at + 1), y: one.frames.map(frame => frame.ms), say: at => `${one.frames[at].id}\n${plain(one.frames[at].ms)} ms`, press: at => openViewer(one.frames[at].id) }));
  const top = Math.max(1, ...series.flatMap(one => one.y.filter(known)));
  drawChart(find("times"), { about: "Time of each frame", height: 220, x: { domain: [0.5, state.detector.frames.length + 0.5], show: plain, label: "frame, in the order of ids" }, y: { domain: [0, top * 1.08], show: plain, label: "ms" }, series });
}

// Masks that are on the page now; each redraws itself when the threshold moves.
const masks = new Set();
let redrawing = 0;
function redrawMasks() {
  cancelAnimationFrame(redrawing);
  redrawing = requestAnimationFrame(() => { for (const mask of masks) { if (mask.isConnected) mask.redraw(); else masks.delete(mask); } });
}

function fourPictures(id) {
  const picture = state.set.images[id], score = state.set.scores[state.detector.name][id];
  const detector = state.detector;
  const parts = [{ caption: "image", draw: drawImage }];
  if (score) {
    parts.push({ caption: "score", score, draw: (canvas, shot) => drawHeat(canvas, shot, heatRange(detector)) });
    parts.push({ caption: "mask", score, draw: (canvas, shot) => {
      canvas.redraw = () => drawMask(canvas, shot, state.threshold);
      canvas.redraw();
      masks.add(canvas);
    } });
  }
  if (picture && picture.truth) parts.push({ caption: "truth", draw: drawTruth });
  return withExplanation(id, pictureRow(id, picture, parts));
}

// Below the pictures of a frame, what the detector's score rests on, where it says so.
function withExplanation(id, pictures) {
  const sheet = state.set.explained[state.detector.name][id];
  if (!sheet) return pictures;
  const image = make("img", { src: `data:image/jpeg;base64,${sheet}`, alt: `what the score of ${id} rests on` });
  return make("div", {}, pictures, make("figure", { className: "explained" }, image, make("figcaption", { textContent: "what the score rests on" })));
}

function about(frame) {
  return [`AP ${percent(frame.ap)}`, `FPR95 ${percent(frame.fpr95)}`, `F1 ${percent(frame.f1)}`, `sIoU ${percent(frame.siou)}`, `${frame.objects} labelled, ${frame.found} predicted objects`];
}

function worstFrames() {
  const by = find("worst-by").value, key = by.replace("-", "");
  const falling = ["fpr95", "found", "-ap"].includes(by);
  return state.detector.frames.filter(frame => known(frame[key])).sort((a, b) => (falling ? b[key] - a[key] : a[key] - b[key])).slice(0, Number(find("worst-count").value));
}

function drawWorst() {
  const frames = worstFrames();
  find("worst").replaceChildren(...frames.map(frame => make("div", { className: "shot" }, make("h3", {}, make("bdi", { textContent: frame.id }), ...about(frame).map(text => make("span", { textContent: text }))), fourPictures(frame.id))));
  if (!frames.length) find("worst").textContent = "No frame has this number.";
}

const COLUMNS = [["ap", "AP\u00a0↑", percent], ["fpr95", "FPR95\u00a0↓", percent], ["f1", "F1\u00a0↑", percent], ["siou", "sIoU\u00a0↑", percent], ["ppv", "PPV\u00a0↑", percent], ["objects", "labelled objects", plain], ["found", "predicted objects", plain], ["pixels", "anomaly pixels", value => value.toLocaleString("en")], ["ms", "ms", plain]];

function drawFrameTable() {
  const table = find("frame-table"), frames = state.detector.frames;
  const withPictures = Object.keys(state.set.images).length > 0;
  const columns = COLUMNS.filter(([key]) => frames.some(frame => known(frame[key])));
  find("frames-about").textContent = `${isolated(state.detector.name)} on ${isolated(state.set.title)}; each number is of its frame alone, F1 at the set's best threshold.` + (state.set.left_out ? ` To keep the page small, ${state.set.left_out} frames are without a picture.` : "");
  const head = make("tr", {}, ...(withPictures ? [make("th", { textContent: "image, score" })] : []), make("th", { textContent: "frame" }), ...columns.map(([, title]) => make("th", { className: "n", textContent: title })));
  if (withPictures) head.cells[0].dataset.fixed = "";
  [...head.cells].forEach(cell => { cell.scope = "col"; });
  const body = make("tbody", {}, ...frames.map(frame => {
    const opener = make("button", { type: "button", className: "frame", dir: "auto", textContent: frame.id, onclick: () => openViewer(frame.id) });
    const row = make("tr", {}, ...(withPictures ? [make("td", {}, thumbs(frame.id))] : []), make("td", {}, opener));
    for (const [key, , show] of columns) {
      const cell = make("td", { className: "n", textContent: show(frame[key]) });
      if (known(frame[key])) cell.dataset.value = frame[key];
      row.append(cell);
    }
    return row;
  }));
  table.replaceChildren(make("thead", {}, head), body);
  makeSortable(table);
  sortBy(table, withPictures ? 2 : 1, false);
}

function thumbs(id) {
  const holder = make("div", { className: "thumbs" });
  const picture = state.set.images[id], score = state.set.scores[state.detector.name][id], detector = state.detector;
  if (!picture) return holder;
  const image = make("canvas", { width: 112, height: 63 }), heat = make("canvas", { width: 112, height: 63 });
  holder.append(image, ...(score ? [heat] : []));
  whenSeen(holder, async () => {
    const shot = await decode(picture, score);
    drawImage(image, shot);
    if (score) drawHeat(heat, shot, heatRange(detector));
  });
  return holder;
}

function openViewer(id) {
  const frame = state.detector.frames.find(one => one.id === id);
  find("viewer").frame = id;
  find("viewer-title").textContent = id;
  find("viewer-body").replaceChildren(make("p", { className: "muted", textContent: `${isolated(state.detector.name)}: ${about(frame).join(" · ")}` }), fourPictures(id));
  if (!find("viewer").open) find("viewer").showModal();
}

function stepViewer(step) {
  const order = [...document.querySelectorAll("#frame-table button.frame")].map(button => button.textContent);
  openViewer(order[(order.indexOf(find("viewer").frame) + step + order.length) % order.length]);
}

find("set").replaceChildren(...DATA.sets.map((one, i) => make("option", { value: i, textContent: isolated(one.title) })));
find("set").onchange = event => chooseSet(event.target.value);
find("detector").onchange = event => chooseDetector(event.target.value);
document.querySelectorAll("[name=mode]").forEach(input => { input.onchange = () => { state.mode = input.value; drawCurves(); drawFigures(); }; });
find("threshold").oninput = slide;
find("worst-by").onchange = drawWorst;
find("worst-count").onchange = drawWorst;
find("close").onclick = () => find("viewer").close();
find("previous").onclick = () => stepViewer(-1);
find("next").onclick = () => stepViewer(1);
find("viewer").addEventListener("keydown", event => { const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]; if (step) { event.preventDefault(); stepViewer(step); } });
find("viewer").addEventListener("click", event => { if (event.target === find("viewer")) find("viewer").close(); });
chooseSet(0);
