// Small things that every script uses: finding and making elements, writing numbers, the theme.
const DATA = JSON.parse(document.getElementById("data").textContent);
const COLOURS = 8;

const find = id => document.getElementById(id);
const known = value => value !== null && value !== undefined && !Number.isNaN(value);

function make(tag, settings = {}, ...children) {
  const element = Object.assign(document.createElement(tag), settings);
  element.append(...children);
  return element;
}

const percent = value => (known(value) ? (100 * value).toFixed(2) : "–");
const points = value => (known(value) ? (value > 0 ? "+" : "") + (100 * value).toFixed(2) : "–");
const plain = value => (known(value) ? String(Number(value.toPrecision(5))) : "–");
const short = value => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(value));
const colour = place => `var(--c${place % COLOURS})`;

// Names from right to left keep to themselves inside a sentence; other text stays as it is.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|\ud802|\ud803|\ud83a|\ud83b/;
const isolated = name => (RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name);

// Redraws what an element holds; the keyboard's focus stays at its place in it.
function replaceIn(host, ...children) {
  const place = [...host.children].indexOf(document.activeElement);
  host.replaceChildren(...children);
  if (place >= 0 && children.length) host.children[Math.min(place, children.length - 1)].focus();
}

// What is folded cannot be opened on paper.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("section > details:not([open])")];
  for (const one of unfolded) one.open = true;
});
addEventListener("afterprint", () => { for (const one of unfolded) one.open = false; });

function startTheme() {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("roadanomaly-theme"); } catch { return null; } };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => { root.dataset.theme = stored() || (dark.matches ? "dark" : "light"); };
  show();
  dark.addEventListener("change", show);
  find("theme").addEventListener("click", () => {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("roadanomaly-theme", next); } catch { /* a page may be denied storage */ }
    root.dataset.theme = next;
  });
}
startTheme();

// Shows values beside a point; read aloud where keys asked for them, not under a moving pointer.
function showTip(text, x, y, spoken) {
  const tip = find("tip");
  tip.setAttribute("aria-live", spoken ? "polite" : "off");
  if (tip.textContent !== text) tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(x + 14, scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(scrollX + 8, left)}px`;
  tip.style.top = `${Math.max(scrollY + 4, y - tip.offsetHeight - 12)}px`;
}
const hideTip = () => { find("tip").hidden = true; };
