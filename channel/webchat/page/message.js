// How a message looks: everything that a RichMessage can hold.
import {avatar, clock, el, file, link, local, name, spell, words} from "./dom.js";
import {t} from "./texts.js";

// makeRender returns what renders a message. say sends what the user chose, drop discards what was not sent.
export function makeRender(say, drop) {
  return function render(m) {
    if (m.from === "system") return el("li", {className: "notice"}, ...content(m));
    const author = {user: t("you"), bot: t("bot")}[m.from] ?? (m.name || t("agent"));
    const marks = [m.late && t("late"), m.edited && t("edited"), m.pending && t("sending"), m.failed && t("not_sent")].filter(Boolean);
    return el("li", {className: `message ${m.from}`},
      m.from === "user" ? undefined : avatar(author, m.avatar),
      el("div", {className: "bubble"},
        el("p", {className: "by"}, el("b", {}, name(author)), m.from === "agent" ? el("span", {}, t("is_agent")) : undefined,
          m.at ? clock(m.at) : undefined, ...marks.map((mark) => el("i", {}, mark))),
        ...content(m),
        m.failed && m.unsent ? el("button", {type: "button", onclick: () => drop(m.id)}, t("discard")) : undefined));
  };

  function content(m) {
    if (m.removed) return [el("p", {className: "text gone"}, t("removed"))];
    const c = m.content, a = c.attachment, parts = [];
    if (c.text) parts.push(words(c.text));
    if (a?.type === "template") {
      if (a.payload.text) parts.push(words(a.payload.text));
      parts.push(buttons(a.payload.buttons));
      if (a.payload.elements) parts.push(el("ul", {className: "cards", tabIndex: 0, "aria-label": t("cards")}, ...a.payload.elements.map(card)));
    } else if (a) {
      parts.push(file(a.type, a.payload.url, m.file?.name, m.file?.mime_type));
    }
    if (m.open || m.chosen) parts.push(replies(m));
    return parts;
  }

  // replies are the quick replies; once one is chosen, only that is left.
  function replies(m) {
    if (m.chosen) {
      const [before, after] = t("chosen", {choice: "\0"}).split("\0");
      return el("p", {className: "chosen"}, before, name(m.chosen), after);
    }
    return el("div", {className: "replies", role: "group", "aria-label": t("choices")}, ...m.content.quick_replies.map((q) =>
      el("button", {type: "button", dir: "auto", onclick: (e) => {
        for (const b of e.currentTarget.parentElement.children) b.disabled = true;
        say({text: q.title ?? q.payload, payload: q.payload, place: m.place || undefined});
      }}, q.image_url && local(q.image_url) ? el("img", {src: local(q.image_url), alt: ""}) : undefined, ...spell(q.title ?? q.payload ?? "?"))));
  }

  function card(e) {
    return el("li", {className: "card"},
      e.image_url && local(e.image_url) ? el("img", {src: local(e.image_url), alt: ""}) : undefined,
      el("p", {className: "text", dir: "auto"}, el("b", {}, e.default_action?.url ? link(e.default_action.url, e.title) : name(e.title ?? ""))),
      e.subtitle ? el("p", {className: "text", dir: "auto"}, ...spell(e.subtitle)) : undefined,
      buttons(e.buttons));
  }

  function buttons(all) {
    if (!all?.length) return undefined;
    return el("div", {className: "replies"}, ...all.map((b) =>
      b.type === "postback" ? el("button", {type: "button", onclick: () => say({text: b.title, payload: b.payload})}, ...spell(b.title))
        : b.type === "phone_number" ? link("tel:" + b.payload, `${b.title} ${b.payload}`, "button") : link(b.url, b.title, "button")));
  }
}

// choosable returns the place of the message whose quick replies can be chosen: the newest that has some, as long as
// the user has written nothing since and it belongs to whoever is speaking.
export function choosable(shown, handover) {
  for (const m of shown.toReversed()) {
    if (m.from === "user") return undefined;
    if (!m.removed && m.content.quick_replies?.length) return m.chosen || m.handover !== handover ? undefined : m.place;
  }
}
