// What a form says, as the JSON that POST /v1/leads takes; pure, so that it can be tried without a page.

const EVERYDAY = ["gmail.com", "googlemail.com", "hotmail.com", "outlook.com", "yahoo.com", "icloud.com", "gmx.de", "gmx.net", "web.de", "mail.com"];
const ENDLESS = "That address has no ending.";

/** Flat names to nested members: "fields.size" becomes fields: {size}. Empty answers are left out. */
export function nested(entries) {
  const answer = {};
  for (const [name, value] of entries) {
    if (value === "") continue;
    const path = name.split(".");
    const last = path.pop();
    let place = answer;
    for (const step of path) place = place[step] ??= {};
    place[last] = value;
  }
  return answer;
}

/** The body of POST /v1/leads; a purpose that was not ticked is not said at all. */
export function submission(entries) {
  const { consent = {}, redirect, page, submission_id, ...body } = nested(withConsentApart(entries));
  const ticked = Object.entries(consent).filter(([, said]) => said.on);
  if (ticked.length) {
    body.consent = Object.fromEntries(ticked.map(([purpose, said]) => [purpose, { granted: true, text: said.text ?? "" }]));
  }
  return body;
}

function withConsentApart(entries) {
  return [...entries].map(([name, value]) => [/^consent\.[^.]+$/.test(name) ? `${name}.on` : name, value]);
}

/** What is wrong with an address, and what was probably meant: {text, proposal} or null. */
export function addressProblem(text) {
  const address = text.trim();
  if (!address) return { text: "Please leave an address: the answer has to go somewhere." };
  const at = address.lastIndexOf("@");
  if (at < 1) return { text: "An address has a name, an @ and a company, like ada@company.com." };
  const host = address.slice(at + 1).toLowerCase();
  if (!host) return { text: "The part after the @ is missing." };
  if (/\s/.test(address)) return { text: "There is a space in this address.", proposal: address.replace(/\s+/g, "") };
  if (!host.includes(".")) return { text: ENDLESS, proposal: `${address.slice(0, at + 1)}${nearest(host + ".com") ?? host + ".com"}` };
  if (host.endsWith(".") || host.includes("..")) return { text: ENDLESS };
  return null;
}

/** The address with an everyday domain one slip away, or null: gmial.com is probably gmail.com. */
export function slip(text) {
  const address = text.trim();
  const at = address.lastIndexOf("@");
  const meant = at > 0 ? nearest(address.slice(at + 1).toLowerCase()) : null;
  return meant ? address.slice(0, at + 1) + meant : null;
}

function nearest(host) {
  if (EVERYDAY.includes(host)) return null;
  return EVERYDAY.find((known) => oneSlip(host, known)) ?? null;
}

/** One letter too many, too few, wrong, or two swapped. */
function oneSlip(a, b) {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if (left.length <= 1 && right.length <= 1) return left !== right;
  return left.length === 2 && left[0] === right[1] && left[1] === right[0];
}

/** The problems of a problem document as [{name, text}] by the form's flat names; "/consent/contact" is "consent.contact". */
export function problems(document) {
  return (document.errors ?? []).map((error) => ({
    name: (error.pointer ?? "").replace(/^#?\//, "").replaceAll("/", "."),
    text: sentence(error.detail ?? "This answer could not be read."),
    proposal: error.proposal,
  }));
}

function sentence(text) {
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?]$/.test(said) ? said : `${said}.`;
}
