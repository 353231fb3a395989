"use strict";
// The page works without this: it takes Airflow's colours, and lets links to Airflow leave Airflow's frame.
(() => {
  const framed = window.parent !== window;
  let host = null;
  try {
    host = framed ? window.parent.document : null;
  } catch {
    host = null; // framed by another site, which the headers forbid anyway
  }

  if (host) {
    const follow = () => {
      document.documentElement.dataset.theme = host.documentElement.classList.contains("dark") ? "dark" : "light";
    };
    follow();
    new MutationObserver(follow).observe(host.documentElement, { attributes: true, attributeFilter: ["class"] });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.airflow");
    if (!link || !host || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    // The frame may not navigate the window around it; a link of that window may.
    const outside = host.createElement("a");
    outside.href = link.href;
    host.body.append(outside);
    outside.click();
    outside.remove();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("form.period select")) event.target.form.submit();
  });
})();
