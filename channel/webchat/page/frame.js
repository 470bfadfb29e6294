// The page within another page, which widget.js shows it in, or by itself.
export const framed = window.parent !== window;

// What the widget says at the start stands in the address, where servers and other sites do not see it: the host's
// session and the page's language. A page that no other shows takes none, or a link could sign people in.
const said = framed ? new URLSearchParams(location.hash.slice(1)) : new URLSearchParams();
if (location.hash) history.replaceState(null, "", location.pathname + location.search);
export const session = framed ? said.get("session") ?? "" : null;
export const locale = said.get("locale") ?? "";
const host = said.get("origin") ?? location.origin;

// tell tells the widget something.
function tell(what) { if (framed) window.parent.postMessage({webchat: what}, host); }

export const close = () => tell({close: true});

// ---- how many messages the user has not seen

const title = () => document.title.replace(/^\(\d+\) /, "");
let open = !framed, unread = 0, listen = () => {};

// isSeen reports whether the user has the messages before them.
export const isSeen = () => open && !document.hidden;

// showUnread says how many messages were not seen: in the title, and on the widget's button.
export function showUnread(n) {
  if (n === unread) return;
  unread = n;
  document.title = (n ? `(${n}) ` : "") + title();
  tell({unread: n});
}

// isResting reports whether nobody can see the page or its button.
export const isResting = () => framed && !open && document.hidden;

// onSight has fn called when the user may have come back to the messages, or left them.
export function onSight(fn) { listen = fn; }
document.addEventListener("visibilitychange", () => listen());

if (framed) {
  window.addEventListener("message", (e) => {
    if (e.source !== window.parent || e.origin !== host || typeof e.data?.webchat?.open !== "boolean") return;
    open = e.data.webchat.open;
    if (e.data.webchat.focus) document.getElementById("text").focus();
    listen();
  });
  document.addEventListener("keydown", (e) => { if (e.key === "Escape" && !e.isComposing) close(); });
  tell({ready: true});
}
