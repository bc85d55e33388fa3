// The list of stage changes as they happen. It can be paused, and never moves what is under the pointer or has the focus.
import { clock } from "./console.js";

const MOST = 30;
const MOST_WAITING = 300; // beyond that the oldest waiting ones are let go; the list would not show them anyway
const FRESH = 2_000; // milliseconds a new row stays tinted

/** Listen to /v1/stream and keep `list`; `changed` is called for every change, shown or waiting. */
export function changeList(list, changed) {
  const button = document.getElementById("pause");
  const state = { paused: false, pointed: false, waiting: [] };
  const held = () => state.paused || state.pointed || list.contains(document.activeElement);

  const flush = () => {
    if (held()) return said();
    for (const change of state.waiting.splice(0)) put(list, change);
    said();
  };
  const said = () => {
    const count = state.waiting.length;
    button.querySelector("span").textContent = state.paused ? (count ? `Go on, ${count} new` : "Go on") : "Pause";
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    state.paused = !state.paused;
    sign(button, state.paused ? 1 : 0);
    show(state.paused ? "paused" : "live");
    flush();
  });
  list.addEventListener("pointerenter", () => (state.pointed = true));
  list.addEventListener("pointerleave", () => {
    state.pointed = false;
    flush();
  });
  list.addEventListener("focusout", () => setTimeout(flush));

  listen(
    (change) => {
      state.waiting.push(change);
      if (state.waiting.length > MOST_WAITING) state.waiting.shift();
      changed(change);
      flush();
    },
    (word) => show(state.paused ? "paused" : word),
  );
}

function listen(heard, connection) {
  const source = new EventSource("/v1/stream");
  source.addEventListener("open", () => connection("live"));
  source.addEventListener("error", () => {
    connection("waiting");
    // The browser comes back by itself after a lost connection, but not after an answer that was no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(heard, connection), 5_000);
  });
  source.addEventListener("stage", (event) => heard(JSON.parse(event.data)));
}

function show(word) {
  const chip = document.getElementById("live");
  chip.className = `chip ${{ live: "ok", paused: "plain", waiting: "note" }[word]}`;
  chip.querySelector(".dot").hidden = word !== "live";
  chip.querySelector(".words").textContent = { live: "live", paused: "paused", waiting: "reconnecting" }[word];
}

function put(list, change) {
  if (list.querySelector(`[data-change="${CSS.escape(keyOf(change))}"]`)) return; // a stream taken up again repeats a little
  const row = rowOf(change);
  list.prepend(row);
  while (list.children.length > MOST) list.lastElementChild.remove();
  document.getElementById("no-changes").hidden = true;
  setTimeout(() => row.classList.remove("fresh"), FRESH);
}

/** As the server writes it on the rows of the first paint; to the second, since it may write a moment in another way. */
const keyOf = ({ lead_id, at, to }) => `${lead_id} ${Math.floor(Date.parse(at) / 1000)} ${to}`;

function rowOf(change) {
  const row = document.getElementById("change").content.firstElementChild.cloneNode(true);
  row.dataset.change = keyOf(change);
  row.classList.add("fresh");
  const who = row.querySelector(".who");
  who.href = `/leads/${encodeURIComponent(change.lead_id)}`;
  who.textContent = change.who;
  const time = row.querySelector("time");
  time.dateTime = change.at;
  time.title = change.at;
  time.textContent = clock(new Date(change.at));
  row.querySelector(".move").prepend(...movesOf(change));
  row.querySelector(".why").textContent = change.reason;
  return row;
}

function movesOf({ from, to }) {
  return from ? [chipOf(from), copyOf("arrow"), chipOf(to)] : [chipOf(to)];
}

function chipOf(stage) {
  return document.getElementById("chips").content.querySelector(`[data-stage="${CSS.escape(stage)}"]`)?.cloneNode(true) ?? stage;
}

function copyOf(template, at = 0) {
  return document.getElementById(template).content.children[at].cloneNode(true);
}

function sign(button, at) {
  button.querySelector("svg").replaceWith(copyOf("signs", at));
}
