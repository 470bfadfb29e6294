// The user's side of the chat.
import {avatar, clock, el, file, follow, link, local, name, spell, sync, words} from "./dom.js";

const at = (id) => document.getElementById(id);
const log = at("log"), list = log.querySelector("ol"), box = at("text"), who = at("who"), owner = at("owner");

const toEnd = follow(log);

const messages = new Map(); // by place
let status = {state: "bot", handover: "", agent: "", typing: ""};
let synced = false; // everything from before the page was opened is here

// ---- what comes from the server

let last = "";
function connect() {
  const source = new EventSource("/chat/events" + (last && "?last=" + encodeURIComponent(last)));
  source.addEventListener("reset", () => {
    messages.clear();
    outbox.filter((m) => m.taken).forEach(drop);
    last = "";
    draw();
  });
  source.addEventListener("message", (e) => {
    const m = JSON.parse(e.data);
    last = e.lastEventId;
    if (synced && m.from === "agent" && !m.removed && !messages.has(m.place)) ding();
    messages.set(m.place, m);
    draw();
  });
  source.addEventListener("status", (e) => {
    status = JSON.parse(e.data);
    draw();
  });
  source.addEventListener("ready", () => { synced = true; log.setAttribute("aria-busy", "false"); draw(); send(); });
  source.onopen = () => { connected = true; draw(); };
  source.onerror = () => {
    connected = false;
    draw();
    // Browsers come back by themselves, but not after an answer that was no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1500);
  };
}
let connected = false;

// ---- what goes to the server

// outbox holds what is not in the log yet. What the server has not taken survives a reload, and
// keeps its id however often it is sent.
const outbox = JSON.parse(sessionStorage.getItem("outbox") ?? "[]");

function say(message) {
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  outbox.push({id, user: window.USER_DATA ?? {}, ...message});
  keep();
  toEnd();
  send();
}

function keep() {
  sessionStorage.setItem("outbox", JSON.stringify(outbox.filter((m) => !m.taken && !m.failed)));
  draw();
}

function drop(m) {
  if (outbox.includes(m)) outbox.splice(outbox.indexOf(m), 1);
  keep();
}

const post = (path, body) =>
  fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});

// insist posts until the server has taken or refused it, and returns the status.
async function insist(path, body) {
  for (;;) {
    const status = await post(path, body).then((r) => r.status, () => 503);
    if (status < 500) return status;
    await new Promise((wake) => setTimeout(wake, 1500));
  }
}

let sending = false;
async function send() {
  if (sending || !synced) return;
  sending = true;
  for (let m; (m = outbox.find((m) => !m.failed && !m.taken)); ) {
    const answer = await insist("/chat/messages", m);
    m.taken = answer < 400;
    m.failed = answer >= 400;
    if (answer === 409) drop(m); // another page of this user chose before
    keep();
  }
  sending = false;
}

// ---- what the user sees

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    const shown = [...messages.values()].sort((a, b) => a.place - b.place);
    const ids = new Set(shown.map((m) => m.id));
    outbox.splice(0, outbox.length, ...outbox.filter((m) => !(m.taken || m.failed) || !ids.has(m.id)));
    const open = choosable(shown);
    const waiting = outbox.filter((m) => !ids.has(m.id));
    sync(list, [
      ...shown.map((m) => ({...m, open: m.place === open})),
      ...waiting.map((m) => ({place: m.id, id: m.id, from: "user", content: {text: m.text || m.name}, pending: !m.failed, failed: m.failed, unsent: true})),
    ], (m) => m.id ?? m.place, render);
    head();
  });
}

// choosable returns the place of the message whose quick replies can be chosen: the newest that has
// some, as long as the user has written nothing since and it belongs to whoever is speaking.
function choosable(shown) {
  for (const m of shown.toReversed()) {
    if (m.from === "user") return undefined;
    if (!m.removed && m.content.quick_replies?.length) {
      return m.chosen || m.handover !== status.handover ? undefined : m.place;
    }
  }
}

function head() {
  const human = ["opening", "waiting", "active"].includes(status.state);
  const agent = status.agent || "An agent";
  const line = !connected ? "Connecting…"
    : status.state === "active" ? `${agent} is with you`
    : human ? "Waiting for a person" : "The bot is with you";
  if (who.textContent !== line) who.textContent = line;
  owner.hidden = !synced;
  owner.textContent = human ? "Back to the bot" : "Talk to a human";
  const typing = status.typing && connected ? `${status.typing} is typing…` : "";
  if (at("typing").textContent !== typing) at("typing").textContent = typing;
}

const names = {user: "You", bot: "Bot"};

function render(m) {
  if (m.from === "system") return el("li", {className: "notice"}, ...content(m));
  const author = names[m.from] ?? m.name ?? "Agent";
  const marks = [m.late && "late", m.edited && "edited", m.pending && "sending…", m.failed && "not sent"].filter(Boolean);
  return el("li", {className: `message ${m.from}`},
    m.from === "user" ? undefined : avatar(author, m.avatar),
    el("div", {className: "bubble"},
      el("p", {className: "by"}, el("b", {}, name(author)), m.from === "agent" ? el("span", {}, "agent") : undefined,
        m.at ? clock(m.at) : undefined, ...marks.map((mark) => el("i", {}, mark))),
      ...content(m),
      m.failed && m.unsent ? el("button", {type: "button", onclick: () => drop(outbox.find((o) => o.id === m.id))}, "Discard") : undefined));
}

// content shows what a message says: everything that a RichMessage can hold.
function content(m) {
  if (m.removed) return [el("p", {className: "text gone"}, "This message was removed.")];
  const c = m.content, a = c.attachment, parts = [];
  if (c.text) parts.push(words(c.text));
  if (a?.type === "template") {
    if (a.payload.text) parts.push(words(a.payload.text));
    parts.push(buttons(a.payload.buttons));
    if (a.payload.elements) parts.push(el("ul", {className: "cards", tabIndex: 0, "aria-label": "Cards"}, ...a.payload.elements.map(card)));
  } else if (a) {
    parts.push(file(a.type, a.payload.url, m.file?.name, m.file?.mime_type));
  }
  if (m.open || m.chosen) parts.push(replies(m));
  return parts;
}

// replies are the quick replies; once one is chosen, only that is left.
function replies(m) {
  if (m.chosen) return el("p", {className: "chosen"}, "Chosen: ", name(m.chosen));
  return el("div", {className: "replies", role: "group", "aria-label": "Choices"}, ...m.content.quick_replies.map((q) =>
    el("button", {type: "button", dir: "auto", onclick: (e) => {
      for (const b of e.currentTarget.parentElement.children) b.disabled = true;
      say({text: q.title, payload: q.payload, place: m.place});
      box.focus();
    }}, q.image_url && local(q.image_url) ? el("img", {src: local(q.image_url), alt: ""}) : undefined, ...spell(q.title ?? q.payload ?? "?"))));
}

function card(e) {
  return el("li", {className: "card"},
    local(e.image_url) ? el("img", {src: local(e.image_url), alt: ""}) : undefined,
    el("p", {className: "text", dir: "auto"}, el("b", {}, e.default_action?.url ? link(e.default_action.url, e.title) : name(e.title))),
    e.subtitle ? el("p", {className: "text", dir: "auto"}, ...spell(e.subtitle)) : undefined,
    buttons(e.buttons));
}

function buttons(all) {
  if (!all?.length) return undefined;
  return el("div", {className: "replies"}, ...all.map((b) =>
    b.type === "postback" ? el("button", {type: "button", onclick: () => say({text: b.title, payload: b.payload})}, ...spell(b.title))
      : link(b.type === "phone_number" ? "tel:" + b.payload : b.url, b.title, "button")));
}

// ---- the sound at each agent's message

const sound = at("sound");
const muted = () => localStorage.getItem("muted") === "yes";
const showSound = () => sound.setAttribute("aria-pressed", String(!muted()));
sound.onclick = () => { localStorage.setItem("muted", muted() ? "no" : "yes"); showSound(); };
showSound();

let audio;
function ding() {
  if (muted() || navigator.userActivation?.hasBeenActive === false) return; // browsers forbid it before a first click
  audio ??= new AudioContext();
  const start = audio.currentTime, tone = audio.createOscillator(), volume = audio.createGain();
  tone.frequency.setValueAtTime(660, start);
  tone.frequency.setValueAtTime(880, start + 0.09);
  volume.gain.setValueAtTime(0.12, start);
  volume.gain.exponentialRampToValueAtTime(0.001, start + 0.35);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(start + 0.35);
}

// ---- the user's hands

// type tells the agents that the user is typing: once in a few seconds, and when they stop.
let typing, told = 0;
function type(on) {
  clearTimeout(typing);
  if (on) typing = setTimeout(() => type(false), 5000);
  if (status.state !== "active" || (on ? Date.now() - told < 4000 : !told)) return;
  told = on ? Date.now() : 0;
  post("/chat/typing", {typing: on}).catch(() => {});
}
box.oninput = () => type(true);

at("composer").onsubmit = (e) => {
  e.preventDefault();
  type(false);
  if (box.value.trim()) say({text: box.value});
  box.value = "";
  box.focus();
};
box.onkeydown = (e) => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
  e.preventDefault();
  at("composer").requestSubmit();
};
at("file").onchange = async (e) => {
  const chosen = e.target.files[0];
  e.target.value = "";
  if (!chosen) return;
  const answer = await fetch("/files?name=" + encodeURIComponent(chosen.name), {method: "POST", body: chosen}).catch(() => undefined);
  if (answer?.ok) say({text: "", name: chosen.name, file: await answer.text()});
  else say({text: `${chosen.name}: files of up to 5 MB, please`, failed: true});
};
owner.onclick = () => {
  const path = owner.textContent === "Back to the bot" ? "/chat/leave" : "/chat/human";
  owner.disabled = true;
  insist(path, {user: window.USER_DATA ?? {}}).then(() => { owner.disabled = false; });
};

for (const b of document.querySelectorAll("[data-show]")) {
  b.onclick = () => {
    document.body.dataset.pane = b.dataset.show;
    for (const other of document.querySelectorAll("[data-show]")) other.setAttribute("aria-pressed", String(other === b));
  };
}

connect();
draw();
