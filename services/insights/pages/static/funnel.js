// Where the marks of the funnel stand, as drawing.py says it for the first paint, and the painting of them.

const TALLEST = 150;
const FLOWS_FROM = 186;
const LANE = 24;
const HALF_BAR = 2.75;
const FEW = 5;
const SVG = "http://www.w3.org/2000/svg";

/** {stages: [{stage, leads, now, conversion}], back: [{from, to, leads, word}]} to the marks; across in percent, down in pixels. */
export function draw({ stages, back }) {
  const column = 100 / Math.max(stages.length, 1);
  const middles = Object.fromEntries(stages.map(({ stage }, at) => [stage, (at + 0.5) * column]));
  const bars = barsOf(stages, middles);
  const known = back.filter(({ from, to, leads }) => leads > 0 && from in middles && to in middles);
  const { flows, lanes } = flowsOf(known, middles);
  const height = lanes ? FLOWS_FROM + LANE * lanes + 14 : FLOWS_FROM;
  return { bars, slopes: slopesOf(bars), shares: sharesOf(stages, column), flows, height };
}

/** The stage to which the smallest share of those before it came; undefined where all did or too few can tell. */
export function worst(stages) {
  return stages
    .filter(({ conversion }, at) => at > 0 && stages[at - 1].leads >= FEW && conversion !== null && conversion < 1)
    .reduce((low, stage) => (low && low.conversion <= stage.conversion ? low : stage), undefined);
}

function barsOf(stages, middles) {
  const most = Math.max(...stages.map(({ leads }) => leads), 0) || 1;
  return stages.map(({ stage, leads }) => {
    const height = (TALLEST * leads) / most;
    return { stage, x: middles[stage] - HALF_BAR, y: TALLEST - height, height };
  });
}

function slopesOf(bars) {
  return bars.slice(1).map((b, at) => {
    const a = bars[at];
    const [left, right] = [two(a.x + 2 * HALF_BAR), two(b.x)];
    return `${left},${two(a.y)} ${right},${two(b.y)} ${right},${two(TALLEST)} ${left},${two(TALLEST)}`;
  });
}

function sharesOf(stages, column) {
  const low = worst(stages);
  return stages.slice(1).map((stage, at) => {
    const before = stages[at].leads;
    const untold = before < FEW || stage.conversion === null;
    const said = untold ? (before ? "too few" : "") : `${(stage.conversion * 100).toFixed(1)}\u00a0%`;
    return { stage: stage.stage, x: (at + 1) * column, said, worst: stage === low };
  });
}

function flowsOf(back, middles) {
  const most = Math.max(...back.map(({ leads }) => leads), 0);
  const span = ({ from, to }) => middles[from] - middles[to];
  const taken = [];
  const flows = [...back]
    .sort((a, b) => span(a) - span(b) || middles[a.from] - middles[b.from])
    .map((flow) => {
      const [left, right] = [middles[flow.to], middles[flow.from]].sort((a, b) => a - b);
      const crossed = taken.map((spans) => spans.some(([a, b]) => a < right && left < b));
      const lane = crossed.lastIndexOf(true) + 1;
      (taken[lane] ??= []).push([left, right]);
      return flowOf(flow, middles, lane, flow.leads / most);
    });
  return { flows, lanes: taken.length };
}

function flowOf({ from, to, leads, word }, middles, lane, share) {
  const aside = 0.5 + 0.9 * lane;
  const leaves = middles[from] - aside;
  const arrives = middles[to] + aside;
  const y = FLOWS_FROM + LANE * (lane + 1);
  const path =
    `M${two(leaves)} ${two(FLOWS_FROM)}V${two(y - 6)}Q${two(leaves)} ${two(y)} ${two(leaves - 0.7)} ${two(y)}` +
    `H${two(arrives + 0.7)}Q${two(arrives)} ${two(y)} ${two(arrives)} ${two(y - 6)}V${two(FLOWS_FROM + 3)}`;
  const said = `${leads.toLocaleString("en-US")} ${word}`;
  return { leaves, arrives, y, width: 1.25 + 2 * share, middle: (leaves + arrives) / 2, said, path };
}

const two = (value) => value.toFixed(2);

/* Painting: the same marks as in funnel.html */

/** Replace what the drawing shows. */
export function paint(svg, drawing) {
  svg.setAttribute("height", drawing.height);
  svg.replaceChildren(
    mark("svg", { viewBox: `0 0 100 ${drawing.height}`, preserveAspectRatio: "none", width: "100%", height: drawing.height }, [
      ...drawing.slopes.map((points) => mark("polygon", { class: "slope", points })),
      ...drawing.flows.map(({ path, width }) => mark("path", { class: "flow", d: path, "stroke-width": two(width) })),
    ]),
    mark("line", { class: "floor", x1: "0", x2: "100%", y1: TALLEST, y2: TALLEST }),
    ...drawing.bars.map(({ x, y, height }, at) =>
      mark("rect", { class: `bar bar-${at + 1}`, x: `${two(x)}%`, y: two(y), width: `${2 * HALF_BAR}%`, height: two(height), rx: 2 }),
    ),
    ...drawing.shares.map(({ x, said, worst }) =>
      mark("text", { class: worst ? "share worst" : "share", x: `${two(x)}%`, y: 170, "text-anchor": "middle" }, [said]),
    ),
    ...drawing.flows.flatMap(({ leaves, arrives, y, middle, said }) => [
      mark("circle", { class: "from", cx: `${two(leaves)}%`, cy: FLOWS_FROM, r: 2.5 }),
      mark("svg", { class: "head", x: `${two(arrives)}%`, y: FLOWS_FROM - 3, overflow: "visible" }, [mark("path", { d: "M0 0 4 7H-4z" })]),
      mark("text", { class: "said", x: `${two(middle)}%`, y: y + 4, "text-anchor": "middle" }, [said]),
    ]),
  );
}

function mark(name, attributes, inside = []) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}
