// When the CDN did not deliver htmx, load the copy the portal serves itself. Only after `load`: htmx starts itself at
// DOMContentLoaded, or at once when that is over; in between it would start twice or never.
(() => {
  const local = document.currentScript.dataset.local;
  addEventListener("load", () => {
    if (window.htmx) return;
    const script = document.createElement("script");
    script.src = local;
    document.head.append(script);
  });
})();
