// What comes from the server: the log and its changes, who is speaking, who is typing.

// follow keeps a stream open. on has a function for each event; on.connected hears whether it is. The function that it
// returns has it rest, or go on where it was: over HTTP/1.1 browsers have six connections to a site in all of its tabs,
// and a chat that nobody looks at needs none.
export function follow(on) {
  let last = ""; // how far the page is
  let source, resting = false;
  const connect = () => {
    if (resting || source && source.readyState !== EventSource.CLOSED) return;
    source = new EventSource("events" + (last && "?last=" + encodeURIComponent(last)));
    source.addEventListener("reset", () => { last = ""; on.reset(); });
    source.addEventListener("message", (e) => { last = e.lastEventId; on.message(JSON.parse(e.data)); });
    source.addEventListener("status", (e) => on.status(JSON.parse(e.data)));
    source.addEventListener("welcome", (e) => on.welcome(JSON.parse(e.data)));
    source.addEventListener("ready", () => on.ready());
    source.onopen = () => on.connected(true);
    source.onerror = () => {
      on.connected(false);
      // Browsers come back by themselves, but not after an answer that was no stream.
      if (source.readyState === EventSource.CLOSED) again();
    };
  };
  // again waits and connects, unless the server does not know the session any more.
  const again = async () => {
    await new Promise((wake) => setTimeout(wake, 2000));
    const status = await fetch("session").then((r) => r.status, () => 503);
    if (status === 401) on.over();
    else connect();
  };
  connect();
  return (rest) => {
    resting = rest;
    if (rest) source.close();
    else connect();
  };
}
