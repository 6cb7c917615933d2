// The page: shows what the server says, and tells it what the visitor wants.
const $ = (id) => document.getElementById(id);
const history = { latency: [], fps: [] };
const POINTS = 120;
let status = null, view = "overlay", sliding = false, lastFrames = null, asked = 0;
let told = null, toldAt = -Infinity;
const QUIET_MS = 10000;  // between two announcements of events

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) say(found.error || "refused", true);
  return answer.ok ? found : null;
}

function say(text, fault = false) {
  if ($("state").textContent !== text) $("state").textContent = text;  // read aloud when it changes
  $("state").classList.toggle("fault", fault);
}

function show(kind) {
  view = kind;
  $("picture").src = `/stream/${kind}`;
  for (const name of ["overlay", "heat"])
    $(`view-${name}`).setAttribute("aria-pressed", String(name === kind));
}

function percent(rate) { return `${(100 * rate).toPrecision(2)} %`; }

async function settings(values) {
  asked += 1;
  const found = await post("/api/settings", values).finally(() => { asked -= 1; });
  if (found && !asked) render(found);  // an earlier answer knows nothing of a later wish
}

async function turn() {
  asked += 1;
  const found = await post("/api/turn", {}).finally(() => { asked -= 1; });
  if (found && !asked) render(found);
}

async function seek(time_s) {
  if (await post("/api/seek", { time_s })) $("picture").scrollIntoView({ block: "nearest" });
}

function plot(canvas, values) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = 70;
  canvas.width = width * ratio; canvas.height = height * ratio;
  const draw = canvas.getContext("2d");
  draw.scale(ratio, ratio);
  const style = getComputedStyle(document.body);
  const top = Math.max(1, ...values) * 1.15;
  draw.strokeStyle = style.getPropertyValue("--plot"); draw.lineWidth = 1.5;
  draw.beginPath();
  values.forEach((value, i) => {
    const x = width * (i + POINTS - values.length) / (POINTS - 1), y = height - height * value / top;
    i ? draw.lineTo(x, y) : draw.moveTo(x, y);
  });
  draw.stroke();
  draw.fillStyle = style.getPropertyValue("--soft"); draw.font = "11px system-ui";
  draw.fillText(top.toFixed(0), 2, 11);
}

function render(found) {
  status = found;
  const figures = found.figures;
  if (found.fault) say(found.fault, true);
  else if (figures.frames) {
    say(found.settings.paused ? "paused" : "playing");
    const name = document.createElement("bdi");
    name.textContent = figures.source.split("/").pop();
    const about = ` · ${figures.size} · ${figures.backend} ${figures.precision} · ${figures.dropped} dropped`;
    if ($("source").textContent !== name.textContent + about) $("source").replaceChildren(name, about);
  }
  $("clock").textContent = `${found.time_s.toFixed(1)} s`;
  if (!sliding) {
    $("rate").value = Math.log10(found.settings.rate);
    $("opacity").value = found.settings.opacity;
  }
  write("rate", `${percent(found.settings.rate)} of ordinary pixels`);
  write("opacity", percent(found.settings.opacity));
  $("pause").textContent = found.settings.paused ? "Go on" : "Pause";
  $("back").disabled = $("forward").disabled = !found.seekable;
  if (figures.frames && figures.frames !== lastFrames) {
    lastFrames = figures.frames;
    for (const [name, value] of [["latency", figures.latency_ms.p95], ["fps", figures.fps]]) {
      history[name].push(value);
      if (history[name].length > POINTS) history[name].shift();
      plot($(`${name}-plot`), history[name]);
    }
    $("latency").textContent = `p50 ${figures.latency_ms.p50} · p95 ${figures.latency_ms.p95} ms`;
    $("fps").textContent = `${figures.fps} of ${figures.source_fps} fps`;
  }
  list(found.events);
}

function write(id, text) {
  $(`${id}-text`).textContent = text;
  $(id).setAttribute("aria-valuetext", text);
}

function announce(events) {
  const newest = events[0], key = newest ? newest.key : "";  // numbers begin anew with each round
  if (told === null || !newest) told = key;
  if (key === told || performance.now() - toldAt < QUIET_MS) return;
  told = key; toldAt = performance.now();
  $("news").textContent = `event ${newest.id}, ${events.length} in the list`;
}

function list(events) {
  $("count").textContent = events.length || "none yet";
  announce(events);
  const known = new Map([...$("events").children].map((item) => [item.dataset.key, item]));
  const items = events.map((event) => {
    const item = known.get(event.key) || entry(event);
    item.classList.toggle("on", event.on);
    item.querySelector("small").textContent =
      `${event.start_s.toFixed(1)} to ${event.end_s.toFixed(1)} s · peak ${event.peak_score.toFixed(2)}`;
    const address = `/events/${event.key}.jpg?${event.peak_frame}`;
    const image = item.querySelector("img");
    if (image.getAttribute("src") !== address) image.src = address;
    return item;
  });
  for (const item of known.values()) if (!items.includes(item)) item.remove();
  items.forEach((item, i) => {  // what is in its place stays untouched, with the focus in it
    const there = $("events").children[i];
    if (there !== item) $("events").insertBefore(item, there || null);
  });
}

function entry(event) {
  const item = document.createElement("li");
  item.dataset.key = event.key;
  const button = document.createElement("button"), text = document.createElement("span");
  const name = document.createElement("b"), image = document.createElement("img");
  name.textContent = `#${event.id}`;
  image.alt = "";
  text.append(name, document.createElement("small"));
  button.append(image, text);
  button.onclick = () => seek(Math.max(0, event.peak_s - 0.5));
  item.append(button);
  return item;
}

async function upload(event) {
  event.preventDefault();
  const file = $("file").files[0], place = $("result");
  if (!file) { report("choose an image or a clip first", true); return; }
  place.replaceChildren(); report("scoring …");
  const body = new FormData();
  body.append("file", file);
  let found;
  try {
    const answer = await fetch("/api/upload", { method: "POST", body });
    found = await answer.json();
    if (!answer.ok) throw new Error(found.error || "refused");
  } catch (error) {
    report(error.message, true);
    return;
  }
  const media = document.createElement(found.kind === "image" ? "img" : "video");
  media.src = found.address;
  if (found.kind === "image") media.alt = "the uploaded image with what was found";
  else { media.controls = true; media.muted = true; media.loop = true;
    media.autoplay = !matchMedia("(prefers-reduced-motion: reduce)").matches; }
  const many = found.kind === "image" ? found.components.length : found.events.length;
  const name = document.createElement("bdi"), link = document.createElement("a");
  name.textContent = file.name;
  const cut = found.cut_after ? ` in its first ${found.cut_after} frames; the rest was left out` : "";
  report(name, false, `: ${many} ${found.kind === "image" ? "objects" : "events"} found${cut}`);
  link.href = found.address; link.download = found.name; link.dir = "auto";
  link.textContent = `Save ${found.name}`;
  place.replaceChildren(media, link);
}

function report(text, fault = false, more = "") {
  $("said").replaceChildren(text, more);
  $("said").classList.toggle("fault", fault);
}

function slider(id, send) {
  const input = $(id);
  let timer = null;
  input.oninput = () => {
    sliding = true;
    clearTimeout(timer);
    timer = setTimeout(() => send(Number(input.value)).finally(() => { sliding = false; }), 40);
  };
}

function keys(event) {
  if (event.target.matches("input:not([type=range]), video") || event.ctrlKey || event.metaKey) return;
  if (!$("keys").checked || !status) return;
  const rate = status ? Math.log10(status.settings.rate) : -2;
  const opacity = status ? status.settings.opacity : 0.45;
  const act = {
    " ": turn,
    ArrowLeft: () => seek(Math.max(0, status.time_s - 2)),
    ArrowRight: () => seek(status.time_s + 2),
    "[": () => settings({ rate: 10 ** Math.max(-6, rate - 0.2) }),
    "]": () => settings({ rate: 10 ** Math.min(-0.3, rate + 0.2) }),
    "-": () => settings({ opacity: Math.max(0, opacity - 0.1) }),
    "+": () => settings({ opacity: Math.min(1, opacity + 0.1) }),
    h: () => show(view === "heat" ? "overlay" : "heat"),
    u: () => $("file").click(),
  }[event.key];
  if (!act || (event.target.type === "range" && event.key.startsWith("Arrow"))) return;
  if (event.target.matches("button, a") && event.key === " ") return;
  event.preventDefault();
  act();
}

function listen() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.onmessage = (message) => { if (!asked) render(JSON.parse(message.data)); };
  socket.onclose = () => { say("connection lost, trying again …", true); setTimeout(listen, 1000); };
  socket.onopen = () => show(view);
}

$("view-overlay").onclick = () => show("overlay");
$("view-heat").onclick = () => show("heat");
$("pause").onclick = turn;
$("back").onclick = () => seek(Math.max(0, status.time_s - 2));
$("forward").onclick = () => seek(status.time_s + 2);
$("upload").onsubmit = upload;
slider("rate", (value) => settings({ rate: 10 ** value }));
slider("opacity", (value) => settings({ opacity: value }));
document.addEventListener("keydown", keys);
addEventListener("load", listen);  // an endless picture begun earlier would hold that event back
