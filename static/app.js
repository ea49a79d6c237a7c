/* Comfort only: every page works without this file. No inline handlers, no storage, nothing sent elsewhere. */
"use strict";
(() => {
  const opened = performance.now();
  const dialog = document.getElementById("dialog");
  const typing = (node) => node.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");
  const visible = (selector) => [...document.querySelectorAll(selector)].find((node) => node.offsetParent !== null);

  // How long the page was open, by the browser's word; it goes with the decision.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const dwell = form.querySelector("input[name=dwell_ms]");
    if (dwell) dwell.value = String(Math.round(performance.now() - opened));
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      if (form.classList.contains("busy")) { event.preventDefault(); return; }
      form.classList.add("busy");
      form.setAttribute("aria-busy", "true");
    }
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form.busy")) {
      form.classList.remove("busy");
      form.removeAttribute("aria-busy");
    }
  });

  // A link with data-dialog opens its page's form in the dialog; without JavaScript it is a page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (link && dialog.showModal && !event.metaKey && !event.ctrlKey) {
      event.preventDefault();
      const url = new URL(link.href);
      htmx.ajax("GET", url.pathname + url.search, { target: dialog, swap: "innerHTML" });
      return;
    }
    if (event.target.closest("[data-close]") && dialog.open) {
      event.preventDefault();
      dialog.close();
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog && dialog.childElementCount > 0) {
      const heading = dialog.querySelector("h1, h2");
      dialog.setAttribute("aria-label", heading ? heading.textContent.trim() : "Dialog");
      if (!dialog.open) dialog.showModal();
      const first = dialog.querySelector("[autofocus], button[type=submit], input:not([type=hidden]), textarea");
      if (first) first.focus();
    }
  });
  dialog.addEventListener("close", () => dialog.replaceChildren());

  // A bad connection is said, not hidden.
  const offline = document.getElementById("connection");
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => { offline.hidden = false; });
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) offline.hidden = true; });
  window.addEventListener("offline", () => { offline.hidden = false; });
  window.addEventListener("online", () => { offline.hidden = true; });

  // A select or radio with data-submit sends its form when it is changed.
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-submit]")) event.target.form.requestSubmit();
  });

  // Keyboard: j k up and down, Enter opens, a r c e decide, n next, / search, g q queue, ? help.
  const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  const step = (by) => {
    const all = rows();
    const here = all.indexOf(document.activeElement.closest("[data-row]"));
    const next = all[Math.min(Math.max(here + by, 0), all.length - 1)];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
      if (typing(event.target)) event.target.blur();
      return;
    }
    if (typing(event.target) || dialog.open) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "/") {
      const search = visible("input[type=search]");
      if (!search) return;
      search.focus();
      search.select();
    } else {
      const key = event.key === "?" ? "help" : event.key;
      if (!/^([a-z]|help)$/.test(key)) return;
      const target = visible(`[data-key="${key}"]`) || document.querySelector(`a[data-key="${key}"]`);
      if (!target) return;
      target.click();
    }
    event.preventDefault();
  });
})();
