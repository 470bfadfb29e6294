// Package admin is a web page for those who run a bot: which conversations go on, which of them are stuck and why, and
// what to do about one: try again now, or end it. See New.
package admin

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/crisphandover/handover"
)

// Options are the settings of the page. The zero value is right for most hosts.
type Options struct {
	// ReadOnly leaves out the actions: nothing can be tried again or ended.
	ReadOnly bool
	// PageSize is how many conversations are on a page. 0 is 50, more than 500 is 500.
	PageSize int
	// Audit, if set, hears of each action: what was done ("retry" or "end"), to which conversation, and its error. The
	// request is the one that the host's authentication let pass, so that it can tell who did it.
	Audit func(r *http.Request, action string, c handover.Conversation, err error)
}

// New returns the page as a handler. It has no login of its own: mount it behind the host's authentication, and let only
// those see it who may end conversations. Whoever reaches it sees the ids of all conversations that go on.
//
//	mux.Handle("/admin/", requireOperator(admin.New(h, admin.Options{})))
//
// It may be mounted at any path that ends with a slash. Where a pattern of http.ServeMux covers more than this page, put
// http.StripPrefix before it. It shows states, times, attempts and faults, and never what people
// wrote, who they are, or a token. It needs no script, no cookie and nothing from elsewhere; its Content-Security-Policy
// forbids all of that, and frames. An action is a POST that a browser must send from the page itself
// (http.CrossOriginProtection); a program without a browser may send it too.
//
// Below the path it is mounted at:
//
//	GET  /                      the list: state, website, source, age, troubled, idle, after
//	GET  /conversation          one conversation: website, source, id
//	POST /retry, /end           the actions: website, source, id; of end also handover, resolve, and the
//	                            epoch that the conversation must still have
//	GET  /health                what Handover.Health tells
//
// Each has a twin in JSON with ".json" behind it, and is JSON itself where the request accepts nothing else than that:
// the list is {"conversations": […], "next": "…"}, each a handover.ConversationStatus, and "next" is the parameter after
// of the next page. The list needs a store that is a handover.Lister, as all of this module's are.
func New(h *handover.Handover, o Options) http.Handler {
	if o.PageSize <= 0 {
		o.PageSize = 50
	}
	o.PageSize = min(o.PageSize, 500)
	return &pages{h: h, Options: o}
}

// pages serves the page.
type pages struct {
	Options
	h     *handover.Handover
	guard http.CrossOriginProtection
}

// view is what the page shows: one of its parts.
type view struct {
	Nonce        string
	Title        string
	Notice       *notice
	Health       []fault
	List         *listView
	Conversation *conversationView
}

// notice is shown in place of what cannot be.
type notice struct{ Says, Do string }

// answer is what a request is answered with: a view, or data where JSON is wanted.
type answer struct {
	status   int
	view     view
	data     any
	location string // of the page to go to after an action
}

// maxBody is how much a request may hold.
const maxBody = 64 << 10

// ServeHTTP implements http.Handler.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	name := strings.TrimSuffix(nameOf(r), ".json")
	if name == "list" {
		name = ""
	}
	a := p.answer(r, name)
	secure(w.Header())
	if a.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", map[bool]string{true: "POST", false: "GET, HEAD"}[actions[name] != nil])
	}
	switch {
	case wantsJSON(r):
		p.writeJSON(w, a)
	case a.location != "":
		w.Header().Set("Location", a.location)
		w.WriteHeader(http.StatusSeeOther)
	default:
		p.writePage(w, a)
	}
}

// nameOf returns what a request names below the path that the handler is mounted at. http.ServeMux tells that path;
// of other routers the last element counts.
func nameOf(r *http.Request) string {
	slash := strings.IndexByte(r.Pattern, '/')
	if slash < 0 {
		return r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	}
	mount, parts := strings.Split(r.Pattern[slash:], "/"), strings.Split(r.URL.Path, "/")
	mount = mount[:len(mount)-1]
	below := len(parts) > len(mount)
	for i := 0; below && i < len(mount); i++ {
		below = mount[i] == parts[i] || strings.HasPrefix(mount[i], "{")
	}
	if below {
		return strings.Join(parts[len(mount):], "/")
	}
	return strings.TrimPrefix(r.URL.Path, "/") // http.StripPrefix took the mount away
}

// answer finds what a request asks for.
func (p *pages) answer(r *http.Request, name string) answer {
	action, page := actions[name], map[string]func(*http.Request) answer{"": p.list, "conversation": p.conversation, "health": p.health}[name]
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case p.h == nil:
		return refuse(http.StatusServiceUnavailable, "There is no Handover.", "Give admin.New one that handover.New made.")
	case action == nil && page == nil, action != nil && p.ReadOnly:
		return refuse(http.StatusNotFound, "There is no such page.", "")
	case page != nil && !reads, action != nil && r.Method != http.MethodPost:
		return refuse(http.StatusMethodNotAllowed, "This cannot be done so.", "")
	case page != nil:
		return page(r)
	}
	if err := p.guard.Check(r); err != nil {
		return refuse(http.StatusForbidden, "This did not come from this page, and nothing was done.", "Open the page, and do it there.")
	}
	return p.act(r, name, action)
}

// refuse is an answer that says why there is no other.
func refuse(status int, says, do string) answer {
	return answer{status: status, view: view{Title: says, Notice: &notice{says, do}}, data: map[string]string{"error": strings.TrimSpace(says + " " + do)}}
}

// failed is the answer to what the library could not do. The error's own words are not shown: they may be the store's.
func failed(err error) answer {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return refuse(http.StatusNotImplemented, "This store cannot list conversations.", "It must be a handover.Lister. One conversation can be shown by its address.")
	case handover.Permanent(err):
		return refuse(http.StatusBadRequest, "This can be no list of this bot.", "Open the list anew.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "The store did not answer in time.", "Try again in a minute.")
	}
	return refuse(http.StatusServiceUnavailable, "The store does not answer.", "Try again in a minute. The log of the bot says more.")
}

// health tells how this process is.
func (p *pages) health(*http.Request) answer {
	health := p.h.Health()
	return answer{status: http.StatusOK, data: health, view: view{Title: "Health", Notice: &notice{Says: "This process", Do: summaryOf(health)}}}
}

// wantsJSON reports whether a request names JSON, or accepts it and no page.
func wantsJSON(r *http.Request) bool {
	if strings.HasSuffix(r.URL.Path, ".json") {
		return true
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// secure sets what keeps the page to itself, and out of caches.
func secure(h http.Header) {
	h.Set("Referrer-Policy", "same-origin") // without one browsers would not say where an action comes from
	h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

func (p *pages) writeJSON(w http.ResponseWriter, a answer) {
	body, err := json.Marshal(a.data)
	if err != nil {
		a.status, body = http.StatusInternalServerError, []byte(`{"error":"this cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(append(body, '\n')) // whoever asked has gone, if this fails
}

func (p *pages) writePage(w http.ResponseWriter, a answer) {
	if a.view.Nonce = rand.Text(); p.h != nil {
		a.view.Health = faultsOf(p.h.Health())
	}
	var body bytes.Buffer
	if err := page.Execute(&body, a.view); err != nil {
		a.status = http.StatusInternalServerError
		body.Reset()
		body.WriteString("The page cannot be shown.\n")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'nonce-"+a.view.Nonce+
		"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(a.status)
	_, _ = w.Write(body.Bytes()) // a HEAD request gets the header alone
}

//go:embed page.html.tmpl
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"state": stateWords, "condition": conditionWords, "fault": faultWords, "kind": kindWords, "milestone": milestoneWords,
}).Parse(pageHTML))
