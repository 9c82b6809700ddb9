"use strict";
// Keeps the live part of a page up to date. Without it the page still shows all, and reloads itself.
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const badge = document.getElementById("link");
  const AGAIN_MS = 3000;
  const SILENT_MS = 12000; // the box gives a sign of life every 5 s
  let silence = 0;

  function say(text, state) {
    if (badge.textContent !== text) badge.textContent = text;
    document.body.dataset.link = state;
  }

  function show(html) {
    const news = document.createElement("template");
    news.innerHTML = html;
    const ids = (node) => Array.from(node.children, (child) => child.id).join();
    if (ids(news.content) !== ids(main)) {
      main.replaceChildren(news.content);
      return;
    }
    for (const fresh of news.content.children) {
      const old = document.getElementById(fresh.id);
      if (old.className !== fresh.className) old.className = fresh.className;
      if (old.innerHTML !== fresh.innerHTML) old.innerHTML = fresh.innerHTML;
    }
  }

  function lost() {
    say(badge.dataset.lost, "lost");
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENT_MS);
    say(badge.dataset.live, "live");
  }

  function listen() {
    const events = new EventSource(main.dataset.live);
    events.onopen = heard;
    events.addEventListener("alive", heard);
    events.onmessage = (event) => {
      heard();
      show(event.data);
    };
    events.onerror = () => {
      lost();
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    };
    addEventListener("pagehide", () => events.close(), { once: true });
  }

  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  listen();
})();
