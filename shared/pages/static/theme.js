// Light or dark before the first paint: a plain script, since a module would run after it and the page would flash.
(() => {
  const sheet = document.getElementById("dark");
  const kept = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off: the system decides
    }
  };
  const wear = (theme) => {
    sheet.media = { dark: "all", light: "not all" }[theme] ?? "(prefers-color-scheme: dark)";
  };
  wear(kept());
  addEventListener("storage", (event) => event.key === "theme" && wear(event.newValue));
})();
