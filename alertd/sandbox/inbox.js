// Fetches the page instead of reloading it and swaps the parts that changed: no flicker, nothing scrolls away.
"use strict";
const parts = (page) => page.querySelectorAll("[data-part]");
const seen = new Map();
for (const part of parts(document)) seen.set(part.dataset.part, part.outerHTML);

const keep = (old, fresh) => {
  for (const open of old.querySelectorAll("details[open][id]")) {
    const twin = fresh.querySelector("#" + CSS.escape(open.id));
    if (twin) twin.open = true;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const at = old.scrollTop;
  old.replaceWith(fresh);
  fresh.scrollTop = at;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
};

const refresh = async () => {
  const said = document.getElementById("said");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const fresh of [...parts(page)]) {
      const name = fresh.dataset.part;
      const html = fresh.outerHTML;
      const old = document.querySelector(`[data-part="${CSS.escape(name)}"]`);
      if (old && seen.get(name) !== html) keep(old, document.adoptNode(fresh));
      seen.set(name, html);
    }
    const now = page.getElementById("said");
    if (now && said.textContent !== now.textContent) said.textContent = now.textContent;
    document.title = page.title;
  } catch {
    said.textContent = "The demo has stopped; this is the last it showed.";
  }
};

const pace = Number(document.documentElement.dataset.refresh); // seconds; none while paused
if (pace) setInterval(refresh, pace * 1000);
