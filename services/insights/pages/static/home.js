// The first page stays fresh: the funnel is asked for again after stage changes, the changes themselves arrive as they happen.
import { clock, figure, percent, showAge } from "./console.js";
import { draw, paint, worst } from "./funnel.js";
import { changeList } from "./changes.js";

const AFTER_A_CHANGE = 1_000; // milliseconds: many changes at once ask for the numbers once
const AT_LEAST_EVERY = 5_000;
const FEW = 5;

const line = document.querySelector("#as-of .as-of");
const silent = document.getElementById("silent");
let asOf = new Date(line.dataset.asOf);
let askedAt = 0;
let planned = null;
let silentSince = null;

changeList(document.getElementById("changes"), () => plan(AFTER_A_CHANGE));
plan(0);
setInterval(() => showAge(line, asOf, Date.now()), 1_000);
setInterval(() => Date.now() - askedAt >= AT_LEAST_EVERY && plan(0), 1_000);
document.addEventListener("visibilitychange", () => plan(0));

function plan(wait) {
  if (planned || document.hidden) return;
  planned = setTimeout(async () => {
    await refresh();
    planned = null;
  }, wait);
}

async function refresh() {
  askedAt = Date.now();
  try {
    const answer = await fetch("/v1/funnel?by=source", { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
    silentSince = null;
  } catch {
    silentSince ??= askedAt;
  }
  silent.hidden = silentSince === null;
  if (silentSince !== null) {
    const minutes = Math.floor((Date.now() - silentSince) / 60_000);
    const said = minutes ? `has not answered for ${minutes} min` : "does not answer";
    silent.querySelector("span").textContent = `Insights ${said}. The numbers are those of ${clock(asOf)}; leads are taken and handed over all the same.`;
  }
}

function show(funnel) {
  asOf = new Date(funnel.as_of);
  showAge(line, asOf, Date.now());
  const drawing = draw(funnel);
  paint(document.getElementById("funnel-drawing"), drawing);
  funnel.stages.forEach((stage, at) => showStage(stage, funnel.stages[at - 1], drawing.bars[at].height));
  showRates(funnel);
  showBack(funnel.back);
  showSources(funnel);
}

function showStage(stage, before, height) {
  text(`leads-${stage.stage}`, figure(stage.leads));
  text(`now-${stage.stage}`, figure(stage.now));
  const [, leads, length, share, now] = document.getElementById(`row-${stage.stage}`).cells;
  leads.textContent = figure(stage.leads);
  length.querySelector("rect").setAttribute("width", `${((100 * height) / 150).toFixed(2)}%`);
  share.textContent = before ? (before.leads === 0 ? "none" : before.leads < FEW ? "too few" : percent(stage.conversion)) : "";
  now.textContent = figure(stage.now);
}

function showRates({ stages, left }) {
  text("rate-sql", rate(stages, "sql"));
  text("rate-customer", rate(stages, "customer"));
  text("left-disqualified", figure(left.disqualified));
  text("left-lost", figure(left.lost));
  const low = worst(stages);
  const chip = document.getElementById("worst");
  chip.hidden = !low;
  if (low) chip.querySelector("span").textContent = `Fewest go on to ${nameOf(low.stage)}: ${percent(low.conversion)}`;
}

function showBack(back) {
  const rows = back.map(({ from, to, leads, word }) => row([chipOf(from), chipOf(to), `${figure(leads)} ${word}`], "counted", 2));
  if (!rows.length) rows.push(row(["none"]));
  document.getElementById("went-back").replaceChildren(...rows);
}

function showSources({ stages, groups }) {
  const rows = groups.map((group) => {
    const cells = [group.key || "unknown", ...group.stages.map(({ leads }) => figure(leads)), rate(group.stages, "sql")];
    return row(cells, "number", 1, "th");
  });
  if (!rows.length) rows.push(row(["none"]));
  document.getElementById("sources").replaceChildren(...rows);
  const sums = document.getElementById("all-sources").cells;
  [...stages.map(({ leads }) => figure(leads)), rate(stages, "sql")].forEach((said, at) => (sums[at + 1].textContent = said));
}

function row(cells, kind = "", from = 1, first = "td") {
  const line = document.createElement("tr");
  cells.forEach((said, at) => {
    const cell = document.createElement(at ? "td" : first);
    if (at >= from) cell.className = kind;
    if (cells.length === 1) cell.colSpan = 11;
    if (first === "th" && !at) cell.scope = "row";
    cell.append(said);
    line.append(cell);
  });
  return line;
}

const rate = (stages, to) => {
  const reached = stages.find(({ stage }) => stage === to).leads;
  const all = stages[0].leads;
  return all >= FEW ? percent(reached / all) : all ? "too few" : "none";
};
const text = (id, said) => (document.getElementById(id).textContent = said);
const nameOf = (stage) => document.getElementById(`leads-${stage}`).parentElement.querySelector(".name").textContent;
const chipOf = (stage) =>
  document.getElementById("chips").content.querySelector(`[data-stage="${CSS.escape(stage)}"]`)?.cloneNode(true) ?? stage;
