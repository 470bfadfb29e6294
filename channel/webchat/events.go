package webchat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// view is an entry as the page gets it. Ids of Crisp's stay here.
type view struct {
	Place    int64                `json:"place"`
	ID       string               `json:"id,omitempty"` // of the user's own messages
	From     handover.From        `json:"from"`
	Name     string               `json:"name,omitempty"` // of an agent
	Avatar   string               `json:"avatar,omitempty"`
	Content  handover.RichMessage `json:"content"`
	File     *handover.File       `json:"file,omitempty"`
	At       time.Time            `json:"at"`
	Late     bool                 `json:"late,omitempty"`
	Edited   bool                 `json:"edited,omitempty"`
	Removed  bool                 `json:"removed,omitempty"`
	Failed   bool                 `json:"failed,omitempty"`
	Chosen   string               `json:"chosen,omitempty"`
	Handover string               `json:"handover"`
}

func (e *Entry) view() view {
	v := view{
		Place: e.Place, From: e.From, Name: e.Agent.Name, Avatar: e.Agent.Avatar, Content: e.Content, File: e.File, At: e.At,
		Late: e.Late, Edited: e.Edited, Removed: e.Removed, Failed: e.Failed, Chosen: e.Chosen, Handover: e.Handover,
	}
	if e.From == handover.FromUser {
		v.ID = e.ID
	}
	return v
}

const (
	// pingTime is how often a silent stream is used, so that a broken one is noticed, and who stopped typing.
	pingTime = 15 * time.Second
	// pollTime is how often a store that other replicas share is looked into for a page.
	pollTime = time.Second
	// seenTime is how often other replicas are told that a page is open.
	seenTime = 30 * time.Second
	// streamTime is how long a page may take to read.
	streamTime = 10 * time.Second
)

// events streams the log to a page as server-sent events: "message" for an entry that is new or changed, "status"
// for what is not kept, "welcome" while nothing was said, "ready" once the page has everything, "reset" when what it
// has is of another log. The id of an event says how far the page is; coming back with it, as browsers do by
// themselves, gives what was missed and nothing else.
func (s *server) events(w http.ResponseWriter, r *http.Request, who session) {
	room, leave, ok := s.chat.enter(who.id)
	if !ok {
		tooMany(w)
		return
	}
	defer leave()
	p := &pageStream{server: s, who: who, room: room, stream: newStream(w)}
	known := false
	if p.revision, known = s.chat.position(r); !known {
		p.send("", "reset", struct{}{})
	}
	p.run(r.Context())
}

// position returns the revision that the page has seen, and whether it is one of this log.
func (c *Chat) position(r *http.Request) (revision int64, known bool) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("last")
	}
	if last == "" {
		return 0, true
	}
	name, number, _ := strings.Cut(last, "-")
	revision, err := strconv.ParseInt(number, 10, 64)
	if name != c.logName() || err != nil {
		return 0, false
	}
	return revision, true
}

// pageStream is the stream of one page.
type pageStream struct {
	*stream
	server   *server
	who      session
	room     *room
	revision int64   // that the page has
	told     *status // that the page was sent last
	seen     time.Time
}

// run sends what there is and what comes, until the page goes.
func (p *pageStream) run(ctx context.Context) {
	ping := time.NewTicker(pingTime)
	defer ping.Stop()
	var poll <-chan time.Time
	if !p.server.chat.isAlone() {
		ticker := time.NewTicker(pollTime)
		defer ticker.Stop()
		poll = ticker.C
	}
	if !p.room.isKnown() || !p.server.chat.isAlone() {
		p.ask(ctx) // another process may know better
	}
	for first := true; p.err == nil; first = false {
		_, _, changed := p.room.look()
		p.news(ctx, first)
		p.status()
		if first {
			p.send("", "ready", struct{}{})
		}
		p.flush()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-poll:
		case <-ping.C:
			p.comment()
			p.isSeen(ctx)
		}
	}
}

// news sends the entries that changed. When another process changed them, it may be another who is speaking.
func (p *pageStream) news(ctx context.Context, first bool) {
	log, err := p.server.chat.cfg.Store.Since(ctx, p.who.id, p.revision, shownLimit)
	if err != nil {
		if ctx.Err() == nil {
			p.server.chat.cfg.Logger.WarnContext(ctx, "webchat: the store failed; the page connects again", "error", err)
		}
		p.err = err
		return
	}
	if _, mine, _ := p.room.look(); !first && len(log) > 0 && log[len(log)-1].Revision > mine {
		p.ask(ctx)
	}
	said := 0
	for i := range log {
		e := &log[i]
		p.revision = e.Revision
		if e.Visitor == nil {
			said++
			p.send(p.server.chat.logName()+"-"+strconv.FormatInt(p.revision, 10), "message", e.view())
		}
	}
	if first && said == 0 && p.server.chat.cfg.Welcome != nil {
		if v, err := p.server.chat.Visitor(ctx, p.server.chat.conversation(p.who.id)); err == nil {
			p.send("", "welcome", p.server.chat.cfg.Welcome(v))
		}
	}
}

// ask asks the library who is speaking.
func (p *pageStream) ask(ctx context.Context) {
	if s, err := p.server.host.Session(ctx, p.server.chat.conversation(p.who.id)); err == nil {
		p.room.is(s)
	}
}

// status sends who is speaking and typing, when that changed.
func (p *pageStream) status() {
	now, _, _ := p.room.look()
	if p.told == nil || !reflect.DeepEqual(*p.told, now) {
		p.told = &now
		p.send("", "status", now)
	}
}

// isSeen tells other replicas now and then that a page is open.
func (p *pageStream) isSeen(ctx context.Context) {
	if p.server.chat.isAlone() || time.Since(p.seen) < seenTime {
		return
	}
	p.seen = time.Now()
	err := p.server.chat.change(ctx, p.who.id, visitorKey, func(e *Entry) bool {
		if e.Visitor == nil {
			return false
		}
		v := *e.Visitor
		v.Seen = p.seen
		e.Visitor = &v
		return true
	})
	if err != nil && ctx.Err() == nil {
		p.server.chat.cfg.Logger.WarnContext(ctx, "webchat: other replicas do not know that a page is open", "error", err)
	}
}

// stream writes server-sent events.
type stream struct {
	w   http.ResponseWriter
	err error // the first that occurred; the page is gone
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // for proxies
	s := &stream{w: w}
	s.write("retry: 1000\n\n")
	return s
}

// send writes one event. JSON has no line breaks, so it is one line.
func (s *stream) send(id, event string, data any) {
	if id != "" {
		id = "id: " + id + "\n"
	}
	body, err := json.Marshal(data)
	if err != nil {
		s.err = err
		return
	}
	s.write(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, event, body))
}

// comment writes what pages do not see.
func (s *stream) comment() { s.write(":\n\n") }

// write gives the page new time, however long there was nothing to read.
func (s *stream) write(text string) {
	if s.err != nil {
		return
	}
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(streamTime)) // not all can
	_, s.err = fmt.Fprint(s.w, text)
}

// flush hands over what was written.
func (s *stream) flush() {
	if s.err == nil {
		s.err = http.NewResponseController(s.w).Flush()
	}
}
