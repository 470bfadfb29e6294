// Makes elements of what people wrote: always as text, never as HTML.

// el makes an element. Properties that are undefined are left out; children are nodes or text.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [property, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (property in node) node[property] = value;
    else node.setAttribute(property, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

// spell gives a text for append. Characters that turn the direction of what follows are shut in: they
// could make one address or file name look like another.
export function spell(text) {
  return text.split(/([\u202a-\u202e])/).map((part, i) => (i % 2 ? el("span", {className: "turn"}, part) : part));
}

// words shows a text, with its http and https addresses as links.
export function words(text) {
  const parts = text.split(/(\bhttps?:\/\/[^\s<>"\u200e\u200f\u202a-\u202e\u2066-\u2069]+[^\s<>"'.,:;!?)\]\u200e\u200f\u202a-\u202e\u2066-\u2069])/i);
  return el("p", {className: "text", dir: "auto"}, ...parts.flatMap((part, i) => (i % 2 ? link(part, part) : spell(part))));
}

// name shows what somebody or something is called.
export const name = (text) => el("bdi", {}, ...spell(text));

// link leads to an http, https, mailto or tel address; anything else stays text.
export function link(address, title, className) {
  let url;
  try { url = new URL(address); } catch { /* no address */ }
  if (!url || !["http:", "https:", "mailto:", "tel:"].includes(url.protocol)) return name(title);
  return el("a", {href: url.href, target: "_blank", rel: "noopener noreferrer", className}, name(title));
}

// home is where the user finds this server, and base where agents do: it may be another address.
const home = new URL("..", import.meta.url);
let base = home;
export function setBase(address) { base = new URL(address); }

// local returns where this server has a picture, sound or film; undefined if it has not: the page
// loads nothing from elsewhere.
export function local(address) {
  let url;
  try { url = new URL(address); } catch { return undefined; }
  for (const here of [base, home]) {
    if (url.origin === here.origin && url.pathname.startsWith(here.pathname + "files/")) return home.pathname + url.pathname.slice(here.pathname.length);
  }
  if (url.protocol === "https:" && url.host.endsWith(".crisp.chat")) return home.pathname + "picture?url=" + encodeURIComponent(url.href);
  return undefined;
}

// decoded reads a name in an address; one that is not UTF-8 stays as it is.
function decoded(name) {
  try { return decodeURIComponent(name); } catch { return name; }
}

// file shows a file: a picture, sound or film of ours in place, all else as a link.
export function file(kind, address, called, type = "") {
  const title = called || decoded(address.split(/[?#]/)[0].split("/").pop()) || "file";
  const here = local(address);
  if (here && kind === "image") return el("a", {href: here, target: "_blank", rel: "noopener"}, el("img", {src: here, alt: title}));
  if (here && (kind === "audio" || kind === "video")) return el(kind, {src: here, controls: true, "aria-label": title});
  return el("p", {className: "text file"}, link(address, title), type ? ` (${type})` : "");
}

export function clock(at) {
  const date = new Date(at);
  const locale = document.documentElement.lang || undefined;
  return el("time", {dateTime: date.toISOString(), title: date.toLocaleString(locale)}, date.toLocaleTimeString(locale, {hour: "2-digit", minute: "2-digit"}));
}

// avatar is a person's picture, or their first letter where there is none.
export function avatar(who, address) {
  const here = address && local(address), letter = [...who.trim()][0]?.toUpperCase() ?? "?";
  return el("span", {className: "avatar", "aria-hidden": "true"},
    here ? el("img", {src: here, alt: "", onerror: (e) => e.target.replaceWith(letter)}) : letter);
}

// sync makes list show items, in order, and leaves alone what did not change: neither the reader's
// place nor the focus is lost.
export function sync(list, items, key, render) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, i) => {
    const id = String(key(item)), is = JSON.stringify(item);
    let node = old.get(id);
    old.delete(id);
    if (node?.shown !== is) {
      const next = render(item);
      next.dataset.key = id;
      next.shown = is;
      const focused = node?.contains(document.activeElement) ? document.activeElement.textContent : undefined;
      node?.replaceWith(next);
      if (focused !== undefined) [...next.querySelectorAll("button")].find((b) => b.textContent === focused)?.focus();
      node = next;
    }
    if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null);
  });
  for (const node of old.values()) node.remove();
}

// follow keeps a log at its end while it grows or its window shrinks, unless the reader scrolled up. The
// function that it returns goes back to the end.
export function follow(log) {
  let atEnd = true, known = "";
  const size = () => `${log.clientHeight} ${log.scrollHeight}`;
  log.addEventListener("scroll", () => {
    if (size() === known) atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60; // else nobody scrolled
  });
  const observer = new ResizeObserver(() => {
    if (atEnd) log.scrollTop = log.scrollHeight;
    known = size();
  });
  observer.observe(log);
  observer.observe(log.firstElementChild);
  return () => {
    atEnd = true;
    log.scrollTop = log.scrollHeight;
  };
}
