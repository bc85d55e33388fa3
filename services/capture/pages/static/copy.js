// "Copy" beside a listing; shown only where the browser can do it.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const words = button.querySelector("span");
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    words.textContent = "Copied";
  } catch {
    words.textContent = "Select the text and copy it by hand";
  }
  setTimeout(() => (words.textContent = "Copy"), 2500);
}
