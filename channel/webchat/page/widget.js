// The button on a host's page that opens the chat:
//
//	<script src="/chat/widget.js" data-session="…" data-locale="fr" defer></script>
//
// The chat is a page of its own in a frame, so that neither page's styles and scripts touch the other's, and the
// host's Content-Security-Policy needs no more than script-src and frame-src 'self'. The button is in a shadow tree
// with a constructed style sheet, which is no inline style.
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || window.webchat) return;
  window.webchat = {open: () => show(true), close: () => show(false)};

  const home = new URL(".", script.src);
  const all = /* words */ {};
  const locale = script.dataset.locale || document.documentElement.lang || "";
  const spoken = [locale, ...navigator.languages].map((tag) => tag.split("-")[0].toLowerCase()).find((tag) => all[tag]) ?? "en";
  const say = (name) => all[spoken][name];
  const rightToLeft = getComputedStyle(document.documentElement).direction === "rtl";

  const style = new CSSStyleSheet();
  style.replaceSync(`
    :host { all: initial; color-scheme: light dark; --accent: #1f5fc4; --badge: #b3261e; }
    button { position: fixed; inset-block-end: 1.25rem; inset-inline-end: 1.25rem; z-index: 2147483000; display: grid; place-items: center; width: 3.5rem; height: 3.5rem;
      padding: 0; border: 0; border-radius: 50%; background: var(--accent); color: #fff; cursor: pointer; box-shadow: 0 .25rem 1rem #0005; }
    button:hover { filter: brightness(1.1); }
    button:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
    svg { width: 1.75rem; height: 1.75rem; fill: none; stroke: currentcolor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
    button[aria-expanded=true] .closed, button[aria-expanded=false] .opened { display: none; }
    .badge { position: absolute; inset-block-start: -.2rem; inset-inline-end: -.2rem; min-width: 1.3rem; height: 1.3rem; box-sizing: border-box; padding: 0 .3rem; border-radius: .65rem;
      background: var(--badge); color: #fff; font: 700 .78rem/1.3rem system-ui, sans-serif; text-align: center; }
    .badge:empty { display: none; }
    iframe { position: fixed; inset-block-end: 5.75rem; inset-inline-end: 1.25rem; z-index: 2147483000; width: min(24rem, calc(100vw - 2.5rem)); height: min(40rem, calc(100dvh - 7rem));
      border: 0; border-radius: 1rem; box-shadow: 0 .5rem 2.5rem #0006; background: Canvas; }
    iframe[hidden] { display: none; }
    @media (max-width: 30rem), (max-height: 30rem) {
      iframe { inset: 0; width: 100vw; height: 100dvh; border-radius: 0; }
      button[aria-expanded=true] { display: none; }
    }
    @media (prefers-color-scheme: dark) { :host { --accent: #2f6fd6; } iframe { outline: 1px solid #fff3; } }
    @media print { button, iframe { display: none; } }`);

  const host = document.createElement("div");
  host.id = "webchat";
  host.dir = rightToLeft ? "rtl" : "ltr";
  const root = host.attachShadow({mode: "open"});
  root.adoptedStyleSheets = [style];

  const svg = (className, d) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    node.setAttribute("viewBox", "0 0 24 24");
    node.setAttribute("class", className);
    node.setAttribute("aria-hidden", "true");
    path.setAttribute("d", d);
    node.append(path);
    return node;
  };
  const button = document.createElement("button"), badge = document.createElement("span");
  button.type = "button";
  badge.className = "badge";
  button.append(svg("closed", "M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z"), svg("opened", "M6 9l6 6 6-6"), badge);
  button.onclick = () => show(button.getAttribute("aria-expanded") !== "true");
  root.append(button);

  // The frame is loaded when it is first wanted: by the button, or by a user who has talked here before.
  let frame, ready = false, focus = false, unread = 0;
  function load() {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.title = say("title");
    frame.hidden = true;
    const said = new URLSearchParams({session: script.dataset.session ?? "", locale, origin: location.origin});
    frame.src = home.href + "#" + said;
    root.insertBefore(frame, button);
  }

  const kept = (store, key, value) => {
    try { return value === undefined ? store.getItem(key) : store.setItem(key, value); } catch { return null; } // it may be forbidden
  };
  const title = () => document.title.replace(/^\(\d+\) /, "");

  function show(open, byHand = true) {
    if (open) load();
    else if (!frame) return;
    frame.hidden = !open;
    kept(sessionStorage, "webchat open", open ? "yes" : "no");
    if (open) kept(localStorage, "webchat used", "yes");
    draw(open);
    focus = open && byHand; // a page that opens the chat by itself leaves the focus where it is
    tell();
    if (!open) button.focus();
  }
  function tell() { if (ready) frame.contentWindow.postMessage({webchat: {open: !frame.hidden, focus}}, home.origin); }
  function draw(open) {
    button.setAttribute("aria-expanded", String(open));
    button.setAttribute("aria-label", say(open ? "close" : "open") + (unread ? ` (${unread})` : ""));
    badge.textContent = unread ? String(Math.min(unread, 99)) : "";
  }
  const count = () => { document.title = (unread && document.hidden ? `(${unread}) ` : "") + title(); };

  window.addEventListener("message", (e) => {
    const said = e.data?.webchat;
    if (!frame || e.source !== frame.contentWindow || e.origin !== home.origin || !said) return;
    if (said.ready) {
      ready = true;
      tell();
    }
    if (said.close) show(false);
    if (typeof said.unread === "number") {
      unread = said.unread;
      draw(!frame.hidden);
      count();
    }
  });
  document.addEventListener("visibilitychange", count);

  draw(false);
  document.body.append(host);
  if (script.dataset.open !== undefined || kept(sessionStorage, "webchat open") === "yes") show(true, false);
  else if (kept(localStorage, "webchat used") === "yes") load();
})();
