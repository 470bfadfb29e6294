// What goes to the server.

export const post = (path, body) =>
  fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});

const pause = (time) => new Promise((wake) => setTimeout(wake, time));

// insist posts until the server has taken or refused it, and returns the answer's status. heard gets each status.
export async function insist(path, body, heard) {
  for (;;) {
    const status = await post(path, body).then((r) => r.status, () => 503);
    heard(status);
    if (status < 500 && status !== 429) return status;
    await pause(status === 429 ? 5000 : 1500);
  }
}

// makeOutbox holds what is not in the log yet. What the server has not taken survives a reload, and keeps its id
// however often it is sent. name is the session's: another user of this browser sends nothing of it. changed is
// called when there is something to draw, heard with each status of the server.
export function makeOutbox(name, changed, heard) {
  const key = "webchat outbox " + name;
  let all = JSON.parse(sessionStorage.getItem(key) ?? "[]");
  let ready = false, sending = false;

  function keep() {
    sessionStorage.setItem(key, JSON.stringify(all.filter((m) => !m.taken && !m.failed)));
    changed();
  }
  async function send() {
    if (sending || !ready) return;
    sending = true;
    for (let m; (m = all.find((m) => !m.failed && !m.taken)); ) {
      const {shown, ...body} = m;
      const status = await insist("messages", body, heard);
      m.taken = status < 400;
      m.failed = status >= 400;
      if (status === 409) all = all.filter((o) => o !== m); // another page of this user chose before
      keep();
    }
    sending = false;
  }
  return {
    // say sends a message. shown is what the page shows of it until the log has it.
    say(message) {
      const id = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
      all.push({id, ...message});
      keep();
      send();
    },
    drop(id) { all = all.filter((m) => m.id !== id); keep(); },
    // reset forgets what a log had that is gone.
    reset() { all = all.filter((m) => !m.taken); keep(); },
    // ready lets it send: the page has the whole log.
    ready() { ready = true; send(); },
    // waiting is what is not among these ids of the log.
    waiting(ids) {
      all = all.filter((m) => !(m.taken || m.failed) || !ids.has(m.id));
      return all.filter((m) => !ids.has(m.id));
    },
  };
}
