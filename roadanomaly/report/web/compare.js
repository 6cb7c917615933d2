// The page of a comparison: curves of all runs on a set, and what changed frame by frame.
const view = { set: DATA.entries[0].set, mode: "official", pair: 0, hidden: new Set() };
const TITLES = { ap: "AP", fpr95: "FPR95", f1: "F1", siou: "sIoU" };

const entriesOfSet = () => DATA.entries.filter(entry => entry.set === view.set);

function drawLegend() {
  replaceIn(find("legend"), ...entriesOfSet().map((entry, i) => {
    const button = make("button", { type: "button", title: `learned from ${entry.learned}` }, make("i", { style: `background:${colour(i)}` }), make("bdi", { textContent: entry.name }));
    button.setAttribute("aria-pressed", !view.hidden.has(entry.name));
    button.onclick = () => { if (!view.hidden.delete(entry.name)) view.hidden.add(entry.name); drawCurves(); };
    return button;
  }));
}

function drawCurves() {
  drawLegend();
  const shown = entriesOfSet().map((entry, i) => ({ name: entry.name, curve: entry.curves[view.mode] || Object.values(entry.curves)[0], colour: colour(i) }));
  drawRates(shown.filter(line => !view.hidden.has(line.name)));
}

function sharedFrames() {
  const { first, second } = DATA.pairs[view.pair];
  const others = new Map(DATA.entries[second].frames.map(frame => [frame.id, frame]));
  return DATA.entries[first].frames.filter(frame => others.has(frame.id)).map(frame => ({ id: frame.id, first: frame, second: others.get(frame.id) }));
}
const change = (frame, key) => (known(frame.first[key]) && known(frame.second[key]) ? frame.second[key] - frame.first[key] : null);

function drawPair() {
  const pair = DATA.pairs[view.pair], first = DATA.entries[pair.first], second = DATA.entries[pair.second];
  const frames = sharedFrames(), key = find("by").value, sign = key === "fpr95" ? -1 : 1;
  const moved = frames.filter(frame => change(frame, key) !== null).sort((a, b) => sign * (change(b, key) - change(a, key)));
  const better = moved.filter(frame => sign * change(frame, key) > 0).length, worse = moved.filter(frame => sign * change(frame, key) < 0).length;
  find("frames-about").textContent = `${isolated(second.name)} against ${isolated(first.name)} on ${isolated(first.title)}: ${TITLES[key]} of ${better} frames is better, of ${worse} worse, of ${moved.length - better - worse} the same.`;
  const steps = moved.map(frame => change(frame, key)), reach = Math.max(0.01, ...steps.map(Math.abs)) * 1.1;
  drawChart(find("changes"), {
    about: `Change of ${TITLES[key]} of each frame`, height: 240, x: { domain: [0.5, Math.max(1, moved.length) + 0.5], show: plain, label: "frames, largest gain first" }, y: { domain: [-reach, reach], show: inPercent, label: `${TITLES[key]}, points` },
    series: [{ name: TITLES[key], kind: "dots", colour: colour(0), x: steps.map((_, i) => i + 1), y: steps, say: i => `${moved[i].id}\n${percent(moved[i].first[key])} → ${percent(moved[i].second[key])}, ${points(steps[i])} points` }],
  });
  drawChanged(pair, first, second, frames);
  drawTable(frames);
}

function drawChanged(pair, first, second, frames) {
  const shown = frames.filter(frame => pair.images[frame.id]).sort((a, b) => Math.abs(change(b, "ap")) - Math.abs(change(a, "ap")));
  find("changed").replaceChildren(...shown.map(frame => {
    const picture = pair.images[frame.id];
    const parts = [{ caption: "image", draw: drawImage }];
    [first, second].forEach((entry, i) => {
      const score = pair.scores[i][frame.id];
      if (score) parts.push({ caption: entry.name, score, draw: (canvas, shot) => drawHeat(canvas, shot, heatRange(entry)) });
    });
    if (picture.truth) parts.push({ caption: "truth", draw: drawTruth });
    const step = make("span", { className: change(frame, "ap") > 0 ? "up" : "down", textContent: `${points(change(frame, "ap"))} points` });
    return make("div", { className: "shot" }, make("h3", {}, make("bdi", { textContent: frame.id }), make("span", { textContent: `AP ${percent(frame.first.ap)} → ${percent(frame.second.ap)}` }), step), pictureRow(frame.id, picture, parts));
  }));
  if (!shown.length) find("changed").replaceChildren(make("p", { className: "muted", textContent: "These runs kept no pictures of their frames." }));
}

function drawTable(frames) {
  const keys = Object.keys(TITLES);
  const heads = keys.flatMap(key => [`${TITLES[key]} first`, "second", "change"]);
  const head = make("tr", {}, make("th", { textContent: "frame", scope: "col" }), ...heads.map(text => make("th", { className: "n", textContent: text, scope: "col" })));
  const cell = (value, show) => {
    const made = make("td", { className: "n", textContent: show(value) });
    if (known(value)) made.dataset.value = value;
    return made;
  };
  const rows = frames.map(frame => make("tr", {}, make("td", {}, make("bdi", { textContent: frame.id })), ...keys.flatMap(key => [cell(frame.first[key], percent), cell(frame.second[key], percent), cell(change(frame, key), points)])));
  find("frame-table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  makeSortable(find("frame-table"));
  sortBy(find("frame-table"), 3, false);
}

const titles = new Map(DATA.entries.map(entry => [entry.set, entry.title]));
find("set").replaceChildren(...[...titles].map(([value, textContent]) => make("option", { value, textContent: isolated(textContent) })));
find("pair").replaceChildren(...DATA.pairs.map((pair, value) => make("option", { value, textContent: `${isolated(DATA.entries[pair.second].name)} against ${isolated(DATA.entries[pair.first].name)}${titles.size > 1 ? ` on ${isolated(DATA.entries[pair.first].title)}` : ""}` })));
find("set").onchange = event => { view.set = event.target.value; view.hidden.clear(); drawCurves(); };
find("pair").onchange = event => { view.pair = Number(event.target.value); drawPair(); };
find("by").onchange = drawPair;
document.querySelectorAll("[name=mode]").forEach(input => { input.onchange = () => { view.mode = input.value; drawCurves(); }; });
drawCurves();
drawPair();
