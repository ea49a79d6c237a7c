/* Which folded parts of a proposal were opened; it goes with the decision, by the browser's word. */
"use strict";
(() => {
  const opened = new Set();
  const look = (part) => {
    const summary = part.querySelector("summary");
    const name = part.dataset.part || (summary && summary.firstChild ? summary.firstChild.textContent.trim() : "");
    if (name && part.open && part.closest("main")) opened.add(name.replaceAll("|", " ").slice(0, 60));
  };
  for (const part of document.querySelectorAll("main details[open]")) look(part);
  document.addEventListener("toggle", (event) => { if (event.target.tagName === "DETAILS") look(event.target); }, true);
  document.addEventListener("submit", (event) => {
    const kept = event.target.querySelector("input[name=unfolded]");
    if (kept) kept.value = "|" + [...opened].join("|");
  });
})();
