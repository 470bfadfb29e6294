package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// view is an entry as the page gets it. Ids of Crisp's stay here.
type view struct {
	Place    int                  `json:"place"`
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

func (e *entry) view() view {
	v := view{
		Place: e.Place, From: e.From, Name: e.Agent.Name, Avatar: e.Agent.Avatar, Content: e.Content, File: e.File, At: e.At,
		Late: e.Late, Edited: e.Edited, Removed: e.Removed, Failed: e.Failed, Chosen: e.Chosen, Handover: e.Handover,
	}
	if e.From == handover.FromUser {
		v.ID = e.ID
	}
	return v
}

// pingTime is how often a silent stream is used, so that a broken one is noticed, and who stopped
// typing.
const pingTime = 15 * time.Second

// events streams the log to a page as server-sent events: "message" for an entry that is new or
// changed, "status" for what is not kept, "ready" once the page has everything, "reset" when what it
// has is of another log. The id of a message says how far the page is; coming back with it, as
// browsers do by themselves, gives what was missed and nothing else.
func (s routes) events(w http.ResponseWriter, r *http.Request) {
	user := visitor(r)
	if user == "" {
		http.Error(w, "load the page first", http.StatusForbidden)
		return
	}
	room := s.chat.room(user)
	if now, err := s.bot.Session(r.Context(), conversation(user)); err == nil {
		room.begin(now)
	}
	defer room.enter()()
	out := newStream(w)
	revision, known := s.chat.position(r)
	if !known {
		out.send("", "reset", struct{}{})
	}
	ping := time.NewTicker(pingTime)
	defer ping.Stop()
	for first := true; out.err == nil; first = false {
		news, now, changed := room.since(revision)
		for _, e := range news {
			revision = e.Revision
			out.send(s.chat.boot+"-"+strconv.Itoa(revision), "message", e.view())
		}
		out.send("", "status", now)
		if first {
			out.send("", "ready", struct{}{})
		}
		out.flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-ping.C:
		}
	}
}

// position returns the revision that the page has seen, and whether it is one of this log.
func (c *chat) position(r *http.Request) (revision int, known bool) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("last")
	}
	if last == "" {
		return 0, true
	}
	boot, number, _ := strings.Cut(last, "-")
	revision, err := strconv.Atoi(number)
	if boot != c.boot || err != nil {
		return 0, false
	}
	return revision, true
}

// stream writes server-sent events.
type stream struct {
	w   http.ResponseWriter
	err error // the first that occurred; the page is gone
}

// streamTime is how long a page may take to read.
const streamTime = 10 * time.Second

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // for proxies
	s := &stream{w: w}
	s.extend()
	_, s.err = fmt.Fprint(w, "retry: 1000\n\n")
	return s
}

// send writes one event. JSON has no line breaks, so it is one line.
func (s *stream) send(id, event string, data any) {
	if s.err != nil {
		return
	}
	s.extend()
	if id != "" {
		id = "id: " + id + "\n"
	}
	body, err := json.Marshal(data)
	if err == nil {
		_, err = fmt.Fprintf(s.w, "%sevent: %s\ndata: %s\n\n", id, event, body)
	}
	s.err = err
}

// flush hands over what was written.
func (s *stream) flush() {
	if s.err == nil {
		s.err = http.NewResponseController(s.w).Flush()
	}
}

// extend gives the page new time, however long there was nothing to read.
func (s *stream) extend() {
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(streamTime)) // not all can
}
