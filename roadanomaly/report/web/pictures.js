// Small pictures: a score map arrives as grey levels, so heat and mask are drawn here, at once.
const HEAT = Array.from({ length: 256 }, (_, i) => [0, 2, 4].map(at => parseInt(DATA.heat.substr(6 * i + at, 2), 16)));
const HIT = [0, 205, 150], FALSE_ALARM = [255, 64, 32], MISSED = [255, 208, 0], TRUTH = [0, 200, 235];
const decoded = new WeakMap();
const WAITS = { timeout: 1000 };

function load(kind, base64) {
  return new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = fail;
    image.src = `data:image/${kind};base64,${base64}`;
  });
}

function pixels(image, width, height, smooth) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = smooth;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

// What is needed to draw one frame under one detector; decoded once, then kept.
function decode(picture, score) {
  const key = score || picture;
  if (!decoded.has(key)) decoded.set(key, decodeNow(picture, score));
  return decoded.get(key);
}

async function decodeNow(picture, score) {
  const image = await load("jpeg", picture.image);
  const width = image.naturalWidth, height = image.naturalHeight;
  const channel = data => Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]);
  const truth = picture.truth ? channel(pixels(await load("png", picture.truth), width, height, false).data) : null;
  const grey = score ? channel(pixels(await load("jpeg", score.grey), width, height, true).data) : null;
  return { width, height, image: pixels(image, width, height, true), truth, grey, levels: score && score.levels };
}

// The score of a grey, and the first grey at or above a score (256 where none is).
function scoreOf(levels, grey) {
  const place = grey / 255 * (levels.length - 1), below = Math.min(levels.length - 2, Math.floor(place));
  return levels[below] + (levels[below + 1] - levels[below]) * (place - below);
}
function greyOf(levels, score) {
  const last = levels.length - 1;
  if (score <= levels[0]) return 0;
  if (score > levels[last]) return 256;
  let above = 1;
  while (levels[above] < score) above++;
  const step = levels[above] - levels[above - 1];
  return (above - 1 + (step ? (score - levels[above - 1]) / step : 1)) * 255 / last;
}

function paint(canvas, shot, colourAt) {
  canvas.width = shot.width;
  canvas.height = shot.height;
  const context = canvas.getContext("2d");
  const out = context.createImageData(shot.width, shot.height);
  const from = shot.image.data;
  for (let i = 0, at = 0; at < shot.width * shot.height; at++, i += 4) {
    colourAt(at, from, i, out.data);
    out.data[i + 3] = 255;
  }
  context.putImageData(out, 0, 0);
}

function tint(out, from, i, [r, g, b], share, dim) {
  out[i] = dim * from[i] * (1 - share) + r * share;
  out[i + 1] = dim * from[i + 1] * (1 - share) + g * share;
  out[i + 2] = dim * from[i + 2] * (1 - share) + b * share;
}

const drawImage = (canvas, shot) => paint(canvas, shot, (at, from, i, out) => tint(out, from, i, HIT, 0, 1));

function drawHeat(canvas, shot, [low, high]) {
  const table = Array.from({ length: 256 }, (_, grey) => HEAT[Math.max(0, Math.min(255, Math.round(255 * (scoreOf(shot.levels, grey) - low) / (high - low || 1))))]);
  paint(canvas, shot, (at, from, i, out) => { [out[i], out[i + 1], out[i + 2]] = table[shot.grey[at]]; });
}

function drawTruth(canvas, shot) {
  paint(canvas, shot, (at, from, i, out) => {
    const label = shot.truth ? shot.truth[at] : 0;
    if (label === 255) tint(out, from, i, [128, 128, 128], 0.7, 0.6);
    else if (label === 1) tint(out, from, i, TRUTH, 0.6, 1);
    else tint(out, from, i, TRUTH, 0, 0.5);
  });
}

function drawMask(canvas, shot, threshold) {
  const least = greyOf(shot.levels, threshold);
  let called = 0;
  paint(canvas, shot, (at, from, i, out) => {
    const label = shot.truth ? shot.truth[at] : 0, over = shot.grey[at] >= least;
    if (label === 255) tint(out, from, i, [128, 128, 128], 0.55, 0.7);
    else if (over && label === 1) tint(out, from, i, HIT, 0.6, 1);
    else if (over) tint(out, from, i, FALSE_ALARM, 0.6, 1);
    else if (label === 1) tint(out, from, i, MISSED, 0.6, 1);
    else tint(out, from, i, HIT, 0, 0.75);
    called += over && label !== 255;
  });
  canvas.dataset.called = called;
}

// One range of scores for all heat maps of a detector: from where inliers lie to where anomalies lie.
function heatRange({ histogram: { edges, inlier, anomaly } }) {
  const quantile = (counts, share) => {
    let left = share * counts.reduce((sum, one) => sum + one, 0);
    for (let i = 0; i < counts.length; i++) { left -= counts[i]; if (left <= 0) return edges[i]; }
    return edges[edges.length - 1];
  };
  const both = inlier.map((count, i) => count + anomaly[i]);
  return [quantile(both, 0.02), Math.max(quantile(both, 0.995), quantile(anomaly, 0.5))];
}

// A row of pictures of one frame, drawn when it comes near the view. `parts` are
// { caption, score, draw(canvas, shot) }, the score being the one that `draw` needs, if any.
function pictureRow(id, picture, parts) {
  if (!picture) return make("p", { className: "muted", textContent: "No picture of this frame is in the page." });
  const holder = make("div", { className: "four" });
  const canvases = parts.map(({ caption }) => {
    const canvas = make("canvas", { width: 480, height: 270, role: "img" });
    canvas.setAttribute("aria-label", `${caption} of ${id}`);
    holder.append(make("figure", {}, canvas, make("figcaption", { textContent: caption, dir: "auto" })));
    return canvas;
  });
  whenSeen(holder, () => parts.forEach(async (part, i) => part.draw(canvases[i], await decode(picture, part.score))), true);
  return holder;
}

// Calls `draw` when an element first comes near the view, or with `soon` when nothing else is to
// do: what a reader prints must be there before it is seen.
const waiting = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) entry.target.show();
}, { rootMargin: "300px" });
function whenSeen(element, draw, soon = false) {
  element.show = () => { waiting.unobserve(element); element.show = () => {}; draw(); };
  waiting.observe(element);
  if (soon) (window.requestIdleCallback || setTimeout)(() => element.show(), WAITS);
}
