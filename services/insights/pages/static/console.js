// What every page of the console can do: light and dark, keys, and saying how old its numbers are.

const desk = document.querySelector(".desk");
const kept = (name, value) => {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch {
    return null; // storage is switched off: nothing is remembered, all the rest works
  }
};

/* Light and dark */

const dark = document.getElementById("dark");
const theme = document.getElementById("theme");

const isDark = () => matchMedia(dark.media).matches;
const press = () => theme.setAttribute("aria-pressed", String(isDark()));

theme.hidden = false;
theme.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  dark.media = next === "dark" ? "all" : "not all";
  kept("theme", next);
  press();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", press);
press();

/* On a phone the places stand in a row that is wider than it: the present one is brought into sight */

const row = document.querySelector(".side");
const here = row.querySelector("[aria-current]");
if (here && row.scrollWidth > row.clientWidth) row.scrollLeft = here.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;

/* Keys */

const keys = document.getElementById("keys");
const single = document.getElementById("single-keys");
const opener = document.getElementById("open-keys");

single.checked = kept("single-keys") !== "off";
single.addEventListener("change", () => kept("single-keys", single.checked ? "on" : "off"));
opener.hidden = false;
opener.addEventListener("click", () => keys.showModal());

const writes = (element) => element.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && document.activeElement !== document.body) return document.activeElement.blur();
  if (!single.checked || keys.open || writes(event.target)) return;
  const act = { "/": find, "?": () => keys.showModal(), j: () => step(1), k: () => step(-1) }[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

function find() {
  const entry = document.getElementById("find");
  entry?.focus();
  entry?.select();
}

/** To the next or last row of the list the reader is in, else of the page's first; a page of one lead has links instead. */
function step(by) {
  const link = document.querySelector(by > 0 ? "a[data-next]" : "a[data-last]");
  if (link) return link.click();
  const list = document.activeElement.closest("[data-rows]") ?? document.querySelector("[data-rows]");
  if (!list) return;
  const rows = [...list.querySelectorAll("[data-row] a.who")];
  const at = rows.indexOf(document.activeElement.closest("[data-row]")?.querySelector("a.who"));
  rows[Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus();
}

/* Times and figures, as the server writes them */

const zone = desk.dataset.zone;
const clocks = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const counts = new Intl.NumberFormat("en-US");

export const clock = (at) => clocks.format(at);
export const figure = (count) => counts.format(count).replace("-", "−");
export const percent = (share) => (share === null ? "unknown" : `${(share * 100).toFixed(1)}\u00a0%`);

/** Under ten seconds behind is fresh; after that the age is said, in amber. */
export function showAge(line, at, now) {
  const behind = Math.max(0, Math.floor((now - at) / 1000));
  const age = behind >= 60 ? `, ${Math.floor(behind / 60)} min behind` : behind >= 1 ? `, ${behind} s behind` : "";
  line.classList.toggle("late", behind >= 10);
  line.querySelector(".as-of-words").textContent = `as of ${clock(at)}${age}`;
}
