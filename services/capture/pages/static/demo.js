// The demo form with scripts: answers are looked at beside their field and sent without leaving the page.
import { addressProblem, problems, slip, submission } from "./form.js";

const PATIENCE = 15_000; // milliseconds; a phone on a train gets an answer within that or should be told

const form = document.querySelector("form[data-thanks]");
const button = form.querySelector("button[type=submit]");
const banner = document.getElementById("form-error");
let sent = null; // {body, key}: the same answers sent again are the same submission

form.noValidate = true;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
form.elements.email.addEventListener("change", lookAtAddress);
form.addEventListener("input", (event) => say(event.target.name, null));
const referrer = form.elements["source.referrer"];
if (referrer && !referrer.value) referrer.value = document.referrer;

function lookAtAddress() {
  const address = form.elements.email.value;
  if (!address) return;
  const problem = addressProblem(address);
  const meant = slip(address);
  if (problem) say("email", problem);
  else if (meant) say("email", { text: "Is that spelled as you meant it?", proposal: meant, hint: true });
}

function wrong() {
  const said = [];
  for (const name of ["name", "company"]) {
    if (!form.elements[name].value.trim()) said.push({ name, text: name === "name" ? "Please say whom to ask for." : "Please say which company." });
  }
  const address = addressProblem(form.elements.email.value);
  if (address) said.push({ name: "email", ...address });
  if (!form.elements["consent.contact"].checked) said.push({ name: "consent.contact", text: "Without this we may not call you." });
  return said;
}

async function send() {
  clear();
  const found = wrong();
  if (found.length) return show(found);
  const body = JSON.stringify(submission(new FormData(form)));
  if (sent?.body !== body) sent = { body, key: sent ? crypto.randomUUID() : form.elements.submission_id.value };
  button.disabled = true;
  try {
    await post(body, sent.key);
  } catch {
    failed("We could not be reached. Nothing you typed is lost: please try again in a moment.");
  } finally {
    button.disabled = false;
  }
}

async function post(body, key) {
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body,
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.ok) return location.assign(form.dataset.thanks);
  const document = await answer.json().catch(() => ({}));
  if (answer.status >= 500 || answer.status === 429) return failed("We cannot take answers just now. Nothing you typed is lost: please try again in a minute.");
  const named = problems(document).filter(({ name }) => beside(name));
  if (named.length) return show(named);
  return failed(document.detail ?? "This could not be taken, and we do not know why. Please call us instead.");
}

function show(found) {
  for (const { name, ...problem } of found) say(name, problem);
  const first = [...form.elements].find((entry) => entry.getAttribute("aria-invalid") === "true");
  first?.focus();
}

function failed(words) {
  banner.querySelector(".words").textContent = words;
  banner.hidden = false;
  banner.scrollIntoView({ block: "nearest" });
}

function clear() {
  banner.hidden = true;
  for (const line of form.querySelectorAll("[data-error-for]")) say(line.dataset.errorFor, null);
}

function beside(name) {
  return form.querySelector(`[data-error-for="${CSS.escape(name)}"]`);
}

/** Write a problem, or a hint, beside a field; null takes it away. */
function say(name, problem) {
  const line = name && beside(name);
  if (!line) return;
  line.hidden = !problem;
  line.classList.toggle("hint", Boolean(problem?.hint));
  line.querySelector(".words").textContent = problem?.text ?? "";
  line.querySelector(".meant")?.remove();
  propose(line, name, problem?.proposal);
  for (const entry of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
    if (problem && !problem.hint) entry.setAttribute("aria-invalid", "true");
    else entry.removeAttribute("aria-invalid");
  }
}

function propose(line, name, proposal) {
  const offer = line.querySelector(".proposal");
  offer.hidden = !proposal;
  offer.textContent = proposal ? `Did you mean ${proposal.split("@").pop()}?` : "";
  offer.onclick = () => {
    form.elements[name].value = proposal;
    say(name, null);
    form.elements[name].focus();
  };
}
