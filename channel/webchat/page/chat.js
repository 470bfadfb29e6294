// The user's side of the chat.
import {follow as atEnd, setBase, sync} from "./dom.js";
import {close, framed, isResting, isSeen, locale, onSight, session, showUnread} from "./frame.js";
import {choosable, makeRender} from "./message.js";
import {insist, makeOutbox, post} from "./outbox.js";
import {control, ding} from "./sound.js";
import {follow} from "./stream.js";
import {setWords, t, translate} from "./texts.js";

const at = (id) => document.getElementById(id);
const log = at("log"), list = log.querySelector("ol"), box = at("text"), who = at("who"), owner = at("owner");
const toEnd = atEnd(log);

const messages = new Map(); // by place
let me; // what the server said of the session
let outbox;
let status = {state: "bot", handover: "", agent: "", typing: null};
let welcome; // what is shown while nothing was said
let synced = false; // everything from before the page was opened is here
let connected = false;
let rest = () => {}; // has the stream rest, or go on

// ---- what the user has seen

const seenKey = () => "webchat seen " + me.name;
let seen = 0; // the place of the last message that the user saw

function see() {
  if (!me || !synced) return;
  if (isSeen()) {
    seen = Math.max(seen, ...messages.keys());
    localStorage.setItem(seenKey(), String(seen));
  }
  showUnread([...messages.values()].filter((m) => m.place > seen && m.from !== "user" && !m.removed).length);
}
onSight(() => {
  rest(isResting());
  see();
});

// ---- what the user sees

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    const shown = [...messages.values()].sort((a, b) => a.place - b.place);
    const ids = new Set(shown.map((m) => m.id));
    const waiting = outbox.waiting(ids);
    if (welcome && shown.length + waiting.length === 0) shown.push({place: 0, from: "bot", content: welcome, handover: status.handover});
    const open = choosable(shown, status.handover);
    sync(list, [
      ...shown.map((m) => ({...m, open: m.place === open})),
      ...waiting.map((m) => ({place: m.id, id: m.id, from: "user", content: {text: m.text || m.shown}, pending: !m.failed, failed: m.failed, unsent: true})),
    ], (m) => m.id ?? m.place, render);
    head();
    see();
  });
}
const render = makeRender((message) => { say(message); box.focus(); }, (id) => outbox.drop(id));

function put(node, text) { if (node.textContent !== text) node.textContent = text; }

function head() {
  const human = ["opening", "waiting", "active"].includes(status.state);
  put(who, !connected ? t("connecting")
    : status.state === "active" ? t("with_agent", {name: status.agent || t("somebody")})
    : human ? t("waiting") : t("with_bot"));
  owner.hidden = !synced || !human && !me.human_button;
  put(owner, human ? t("back") : t("human"));
  owner.dataset.does = human ? "leave" : "human";
  const typing = status.typing;
  put(at("typing"), typing && connected ? t("typing", {name: typing.from === "bot" ? t("bot") : typing.name || t("somebody")}) : "");
}

function say(message) {
  outbox.say(message);
  toEnd();
}

// notice tells the user something for a while.
let noticed;
function notice(text) {
  put(at("notice"), text);
  clearTimeout(noticed);
  noticed = setTimeout(() => put(at("notice"), ""), 8000);
}

// ---- the user's hands

// type tells the agents that the user is typing: once in a few seconds, and when they stop.
let typing, told = 0;
function type(on) {
  clearTimeout(typing);
  if (on) typing = setTimeout(() => type(false), 5000);
  if (status.state !== "active" || (on ? Date.now() - told < 4000 : !told)) return;
  told = on ? Date.now() : 0;
  post("typing", {typing: on}).catch(() => {});
}

async function upload(chosen) {
  const failed = (name) => notice(t(name, {name: chosen.name, size: Math.floor(me.file_size / (1 << 20))}));
  if (!chosen.size || chosen.size > me.file_size) return failed("too_large");
  const answer = await fetch("files?name=" + encodeURIComponent(chosen.name), {method: "POST", body: chosen}).catch(() => undefined);
  if (!answer?.ok) return failed(answer?.status === 413 ? "too_large" : "no_room");
  say({text: "", shown: chosen.name, file: await answer.text()});
}

function hands() {
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
  at("file").onchange = (e) => {
    const chosen = e.target.files[0];
    e.target.value = "";
    if (chosen) upload(chosen);
  };
  owner.onclick = () => {
    owner.disabled = true;
    insist(owner.dataset.does, {}, heard).then(() => { owner.disabled = false; });
  };
  at("close").hidden = !framed;
  at("close").onclick = close;
  control(at("sound"));
}

// heard tells the user what a status of the server means for them.
function heard(status) {
  if (status === 429) notice(t("busy"));
  if (status === 401) over();
}

// over says that the session is: the host's page has to be loaded again.
function over() {
  clearTimeout(noticed);
  put(at("notice"), t("over"));
}

// ---- the beginning

async function begin() {
  for (;;) {
    const answer = await post("session", {session, locale}).catch(() => undefined);
    if (answer?.ok) return answer.json();
    if (answer?.status === 401) { // the host's session has expired: what its page says is old
      put(who, await answer.text());
      return undefined;
    }
    await new Promise((wake) => setTimeout(wake, 2000));
  }
}

me = await begin();
if (me) {
  setWords(me.words);
  setBase(me.base);
  document.documentElement.lang = me.locale;
  document.documentElement.dir = me.right ? "rtl" : "ltr";
  document.title = me.title;
  put(at("title"), me.title);
  translate(document);
  seen = Number(localStorage.getItem(seenKey()) ?? 0);
  outbox = makeOutbox(me.name, draw, heard);
  hands();
  rest = follow({
    over,
    connected(is) { connected = is; draw(); },
    reset() { messages.clear(); seen = 0; outbox.reset(); },
    message(m) {
      if (synced && m.from === "agent" && !m.removed && !messages.has(m.place)) ding();
      messages.set(m.place, m);
      draw();
    },
    status(now) { status = now; draw(); },
    welcome(content) { welcome = content; draw(); },
    ready() { synced = true; log.setAttribute("aria-busy", "false"); outbox.ready(); draw(); },
  });
  rest(isResting());
  draw();
}
