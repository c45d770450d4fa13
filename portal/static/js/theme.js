// Sets light or dark before the first paint, so that a dark screen never flashes white. Blocking on purpose, hence not a module.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is forbidden: follow the system
    }
  };
  const apply = () => {
    root.dataset.bsTheme = chosen() || (dark.matches ? "dark" : "light");
  };
  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);
})();
