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

function showTip(text, x, y) {
  const tip = find("tip");
  if (tip.textContent !== text) tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(x + 14, scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(scrollX + 8, left)}px`;
  tip.style.top = `${Math.max(scrollY + 4, y - tip.offsetHeight - 12)}px`;
}
const hideTip = () => { find("tip").hidden = true; };
