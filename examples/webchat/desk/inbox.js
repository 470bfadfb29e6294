// The agents' side: an inbox like Crisp's, on the fake.
import {avatar, clock, el, file, follow, link, name, spell, sync, words} from "/chat/page/dom.js";

const at = (id) => document.getElementById(id);
const thread = at("thread"), as = at("as"), kind = at("kind"), said = at("said"), more = at("lines");

const toEnd = follow(thread);

let inbox = {online: true, operators: [], conversations: []};
let chosen; // the number of the conversation that is open
let editing = ""; // the fingerprint of the message that is edited

function connect() {
  const source = new EventSource("/inbox/events");
  source.addEventListener("inbox", (e) => {
    inbox = JSON.parse(e.data);
    comesForward();
    draw();
  });
  source.onopen = () => { at("online").disabled = false; };
  source.onerror = () => {
    at("online").disabled = true;
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1500);
  };
}

const post = (path, body) =>
  fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
const act = (what, more = {}) => post(`/inbox/conversations/${chosen}`, {as: as.value, do: what, ...more});

// ---- who waits

const seen = new Map(); // how many messages of the user an agent has seen, by the conversation's number
const userSaid = (c) => c.messages.filter((m) => m.from === "user").length;
const unread = (c) => userSaid(c) - (seen.get(c.number) ?? 0);

// comesForward opens the conversation of the user who waits longest, unless an agent is at work in another.
function comesForward() {
  const open = inbox.conversations.find((c) => c.number === chosen);
  if (open && (open.state !== "resolved" || said.value || editing)) return;
  const waits = inbox.conversations.filter((c) => c.state !== "resolved" && unread(c) > 0).sort((a, b) => a.messages.at(-1).at - b.messages.at(-1).at);
  chosen = (waits[0] ?? open ?? inbox.conversations[0])?.number;
}

// ---- what agents see

function draw() {
  const open = inbox.conversations.find((c) => c.number === chosen);
  if (open && !document.hidden) seen.set(open.number, userSaid(open));
  const rows = inbox.conversations.map((c) => ({...c, messages: c.messages.at(-1), unread: unread(c), open: c === open}))
    .sort((a, b) => (b.unread > 0) - (a.unread > 0) || b.messages.at - a.messages.at);
  at("online").setAttribute("aria-pressed", String(inbox.online));
  at("online").textContent = inbox.online ? "Online" : "Away";
  sync(as, inbox.operators, (who) => who, (who) => el("option", {value: who}, who));
  sync(at("conversations"), rows, (c) => c.number, row);
  const waiting = rows.filter((c) => c.unread > 0).length;
  document.title = (waiting ? `(${waiting}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  at("with").replaceChildren(name(open?.name ?? "No conversation yet"));
  at("state").textContent = open ? open.state + (open.assigned ? `, assigned to ${open.assigned}` : "") : "";
  at("state").className = open?.state ?? "";
  for (const id of ["assign", "resolve", "answer", "facts"]) at(id).hidden = !open;
  const typing = open?.typing ? `${open.name} is typing…` : "";
  if (at("user-typing").textContent !== typing) at("user-typing").textContent = typing;
  if (!open) return;
  at("resolve").textContent = open.state === "resolved" ? "Reopen" : "Resolve";
  at("resolve").className = open.state;
  const facts = {Email: open.email, Phone: open.phone, Segments: (open.segments ?? []).join(", "), ...open.data};
  at("facts").querySelector("dl").replaceChildren(...Object.entries(facts).filter(([, value]) => value !== "")
    .flatMap(([key, value]) => [el("dt", {dir: "auto"}, ...spell(key)), el("dd", {dir: "auto"}, ...spell(String(value)))]));
  sync(thread.querySelector("ol"), open.messages, (m) => m.fingerprint, message);
}

function row(c) {
  const m = c.messages;
  return el("li", {className: c.unread > 0 ? "unread" : ""}, el("button", {type: "button", "aria-current": c.open ? "true" : undefined, onclick: () => {
    chosen = c.number;
    stopEditing();
    draw();
    toEnd();
  }}, avatar(c.name), el("span", {className: "line"}, el("b", {}, name(c.name)), name(brief(m)), c.unread > 0 ? el("span", {className: "unseen"}, `${c.unread} unread`) : undefined), el("span", {className: `dot ${c.state}`}, el("span", {className: "unseen"}, c.state))));
}

const brief = (m) => (typeof m.content === "string" ? m.content : m.content.text || m.content.name || m.type);

const kinds = {note: "private note", event: "event"};

function message(m) {
  const mine = m.from === "operator";
  return el("li", {className: `message ${mine ? "user" : "visitor"} ${m.type}`},
    mine ? undefined : avatar(m.name || "V"),
    el("div", {className: "bubble"},
      el("p", {className: "by"}, el("b", {}, name(m.name || (mine ? "Bot" : "Visitor"))), kinds[m.type] ? el("span", {}, kinds[m.type]) : undefined, clock(m.at),
        m.edited ? el("i", {}, "edited") : undefined, mine && m.read ? el("i", {}, "read") : undefined),
      ...content(m),
      mine ? el("p", {className: "tools"},
        typeof m.content === "string" ? el("button", {type: "button", onclick: () => edit(m)}, "Edit") : undefined,
        el("button", {type: "button", onclick: () => act("remove", {fingerprint: m.fingerprint})}, "Remove")) : undefined));
}

function content(m) {
  const c = m.content;
  switch (m.type) {
    case "file": return [file(c.type.split("/")[0], c.url, c.name, c.type)];
    case "audio": return [file("audio", c.url)];
    case "picker": return [words(c.text), el("ul", {className: "replies"}, ...c.choices.map((x) =>
      el("li", {className: x.selected ? "picked" : ""}, x.selected ? "✓ " : "", name(x.label))))];
    case "field": return [words(c.text), words(c.explain)];
    case "carousel": return [words(c.text), el("ul", {className: "cards", tabIndex: 0, "aria-label": "Cards"}, ...c.targets.map((t) =>
      el("li", {className: "card"}, el("p", {className: "text", dir: "auto"}, el("b", {}, ...spell(t.title))), el("p", {className: "text", dir: "auto"}, ...spell(t.description)),
        el("p", {className: "replies"}, ...t.actions.map((a) => link(a.url, a.label, "button"))))))];
  }
  return [words(typeof c === "string" ? c : JSON.stringify(c))];
}

// ---- what agents do

at("online").onclick = () => post("/inbox/presence", {online: !inbox.online});
at("assign").onclick = () => act("assign");
at("resolve").onclick = () => act(at("resolve").textContent === "Resolve" ? "resolve" : "reopen");

const linesLabels = {picker: "Choices, one a line", field: "How to write it", carousel: "Cards, one a line: title | description | link’s label | link"};

function showKind() {
  const hasLines = kind.value in linesLabels;
  more.hidden = at("lines-label").hidden = !hasLines;
  at("lines-label").textContent = linesLabels[kind.value] ?? "";
  at("upload").hidden = kind.value !== "file";
  said.hidden = kind.value === "file";
  at("answer").classList.toggle("note", kind.value === "note");
  said.placeholder = kind.value === "note" ? "Only agents see this…" : "Write to the user…";
}
kind.onchange = showKind;

function edit(m) {
  editing = m.fingerprint;
  at("editing").hidden = false;
  kind.value = m.type === "note" ? "note" : "say";
  kind.disabled = true;
  showKind();
  said.value = m.content;
  said.focus();
}

function stopEditing() {
  editing = "";
  at("editing").hidden = true;
  kind.disabled = false;
  said.value = "";
}
at("cancel").onclick = () => { stopEditing(); said.focus(); };

let typing;
function type(on) {
  if (on && kind.value !== "say") return;
  if (on && !typing) act("type");
  if (!on && typing) act("stop");
  clearTimeout(typing);
  typing = on ? setTimeout(() => type(false), 5000) : undefined;
}
said.oninput = () => type(true);

at("answer").onsubmit = async (e) => {
  e.preventDefault();
  type(false);
  const what = editing ? "edit" : kind.value;
  const body = {text: said.value, lines: more.value, ...(editing && {fingerprint: editing})};
  stopEditing();
  more.value = "";
  said.focus();
  if (what === "file") {
    const input = at("upload").querySelector("input"), chosen = input.files[0];
    if (!chosen) return;
    const answer = await fetch("/inbox/files?name=" + encodeURIComponent(chosen.name), {method: "POST", body: chosen});
    if (!answer.ok) return;
    body.file = await answer.text();
    input.value = "";
  }
  const answer = await act(what, body).catch(() => undefined);
  if (!answer?.ok) said.value = body.text; // the server is gone, or there was nothing to do
};
said.onkeydown = (e) => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing || kind.value in linesLabels) return;
  e.preventDefault();
  at("answer").requestSubmit();
};

document.addEventListener("visibilitychange", draw);
showKind();
connect();
