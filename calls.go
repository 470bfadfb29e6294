package handover

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/textsplit"
)

// crispCalls carries out the effects that call Crisp.
type crispCalls struct {
	cfg      *Config
	sites    sites
	host     *host // says what the texts are, and hears what a person must mend
	clock    *clock
	noLookUp bool // see testhook.Hooks
}

// purposeKey is the key of what a call to Crisp is made for, in its context.
type purposeKey struct{}

// withPurpose returns a context whose calls to Crisp are told to Observe as made for this.
func withPurpose(ctx context.Context, a Activity) context.Context {
	return context.WithValue(ctx, purposeKey{}, a)
}

func purposeOf(ctx context.Context) Activity {
	a, _ := ctx.Value(purposeKey{}).(Activity)
	return a
}

// run does an effect that calls Crisp, and adds to r what came of it.
func (c *crispCalls) run(ctx context.Context, rec *record, e *effect, r result) result {
	api := c.sites.of(rec).API
	if last := rec.lastTry(e); !last.IsZero() && !c.clock.now().Before(last) {
		ctx = crispapi.LastTry(ctx)
	}
	switch e.Kind {
	case kindCreate:
		r = c.create(ctx, rec, e, r)
	case kindMetas:
		r.emailed, r.err = c.setMetas(ctx, rec, e)
	case kindInbox:
		r.err = api.SetInbox(ctx, e.Crisp, e.Note)
	case kindAssign:
		r.err = api.Assign(ctx, e.Crisp, e.Note)
	case kindGreet, kindPost:
		r = c.post(ctx, rec, e, r)
	case kindAnswer, kindEdit:
		r.err = api.Edit(ctx, e.Crisp, e.FP, c.contentOf(rec, e))
	case kindResolve:
		r.err = api.SetState(ctx, e.Crisp, crispapi.Resolved)
	case kindNote:
		r = c.postNote(ctx, rec, e, r)
	case kindMark:
		r.marked = slices.Clone(e.FPs)
		r.err = c.mark(ctx, api, e.Crisp, e.FPs)
	case kindRate:
		r.err = api.AskRating(ctx, e.Crisp)
	case kindEmail:
		r.err = api.SetMetas(ctx, e.Crisp, crispapi.Metas{Email: e.Note})
	}
	if r.err != nil {
		r = c.failed(ctx, rec, e, r)
	}
	return r
}

// failed adds to the result of a call that failed whether the conversation is gone, and has a person told what to mend.
func (c *crispCalls) failed(ctx context.Context, rec *record, e *effect, r result) result {
	c.advise(rec, e, r.err)
	if fault := apiError(r.err); fault != nil && fault.StatusCode == http.StatusNotFound && e.Crisp != "" && !fault.Read && !e.Kind.names() {
		r.gone = c.sites.of(rec).API.Gone(ctx, e.Crisp)
	}
	return r
}

// mark marks messages of agents as delivered and read.
func (c *crispCalls) mark(ctx context.Context, api *crispapi.Client, crisp string, fps []int64) error {
	if err := api.MarkDelivered(ctx, crisp, c.cfg.Origin, fps); err != nil {
		return err
	}
	return api.MarkRead(ctx, crisp, c.cfg.Origin, fps)
}

// post posts a message. When the last attempt may have been carried out, Crisp's log is asked
// first: a message is never posted again because an answer was lost.
func (c *crispCalls) post(ctx context.Context, rec *record, e *effect, r result) result {
	content := c.contentOf(rec, e)
	if e.Kind == kindGreet {
		var text string
		if text, r.parts = c.greeting(rec, e); text == "" {
			r.found = true // it has no such part
			return r
		}
		content = crispcontent.NewText(text)
	}
	if e.Unsure && !c.noLookUp {
		fp, found, err := c.lookUp(ctx, rec, e)
		switch {
		case err != nil:
			r.err = err
		case found:
			r.fp, r.found = fp, true
		default:
			r.missing = true
		}
		return r
	}
	typ := e.Type
	if typ == "" {
		typ = "text"
	}
	r.fp, r.err = c.sites.of(rec).API.Send(ctx, e.Crisp, crispapi.Outgoing{Type: typ, From: "user", Origin: c.cfg.Origin, Content: content, Fingerprint: e.FP})
	return r
}

// contentOf is the content of a message of the user, or of an answer for them. One that is marked as an edit
// says so first.
func (c *crispCalls) contentOf(rec *record, e *effect) jsontext.Value {
	if e.Text != textEdited {
		return e.Content
	}
	text, _ := crispcontent.ReadText(e.Content) // we wrote it
	texts := c.host.texts(rec)
	mark, _ := textsplit.Shorten(texts.get(e.Text), maxEditMark)
	return crispcontent.NewText(mark + text)
}

// lookUp asks Crisp's log for a message of ours. GET message/{fingerprint} would not do: a 404
// may come from a cache.
func (c *crispCalls) lookUp(ctx context.Context, rec *record, e *effect) (int64, bool, error) {
	since, stop := e.At-crisplog.ListSlack, []int64(nil)
	if s := rec.Sessions.ByID(e.Crisp); s != nil {
		stop = []int64{s.Log.First}
		if e.At == 0 {
			since = s.Log.Watermark - crisplog.Overlap.Milliseconds()
		}
	}
	read, err := c.log(ctx, rec, e.Crisp, stop, crispapi.Reach{Since: since})
	if err != nil {
		return 0, false, err
	}
	for i := range read.Messages {
		if m := &read.Messages[i]; m.Fingerprint == e.FP || c.sameAs(rec, e, m) {
			return m.Fingerprint, true, nil
		}
	}
	return 0, false, nil
}

// sameAs reports whether a message in Crisp is the one of an effect under another fingerprint.
func (c *crispCalls) sameAs(rec *record, e *effect, m *crisplog.Message) bool {
	s := rec.Sessions.ByID(e.Crisp)
	if e.Kind == kindGreet {
		greet := *e
		text, _ := c.greeting(rec, e)
		greet.Type, greet.Content = "text", crispcontent.NewText(text)
		e = &greet
	}
	return s != nil && !s.Log.Knows(m.Fingerprint) && e.same(m, c.cfg.Origin)
}

// same reports whether a message in Crisp says what a post says, and is no older one: users repeat
// themselves, and not all that they wrote is still known.
func (e *effect) same(m *crisplog.Message, origin string) bool {
	if m.From != "user" || m.Origin != origin || m.Timestamp < e.At || m.Type != e.Type {
		return false
	}
	if e.Text == textEdited { // whatever its mark was
		text, _ := crispcontent.ReadText(e.Content)
		got, err := crispcontent.ReadText(jsontext.Value(m.Content))
		return err == nil && strings.HasSuffix(got, text)
	}
	return crispcontent.Hash(m.Type, m.Content) == crispcontent.Hash(e.Type, e.Content)
}

// greeting is a part of the opening, the first message of the Crisp conversation, and how many there
// are.
func (c *crispCalls) greeting(rec *record, e *effect) (text string, parts int) {
	ho := rec.handoverOf(e.HandoverID)
	if ho == nil {
		return "", 1
	}
	texts := c.host.texts(rec)
	return partOf(texts.opening(ho.ByEmail, ho.historyLink(rec)), e.Part)
}

// partOf returns one of the messages that a text makes, and how many it makes; empty if there is none.
func partOf(text string, i int) (part string, parts int) {
	all := textsplit.Split(text, maxPost)
	if i < len(all) {
		part = all[i]
	}
	return part, max(len(all), 1)
}

// advise tells the host, once an hour for each kind of call, that a person must mend what keeps notes
// and the like from Crisp. Otherwise it would be told for each of them.
func (c *crispCalls) advise(rec *record, e *effect, err error) {
	api := apiError(err)
	if api == nil || api.Held || !api.NeedsPerson() || !e.Kind.aside() {
		return
	}
	if !c.sites.of(rec).Advise(api.Op) {
		return
	}
	c.host.tell(Activity{Kind: ActivityFault, Conversation: rec.Conversation, CrispID: e.Crisp, HandoverID: e.HandoverID,
		Attempt: e.Attempts, Err: err, Effect: string(e.Kind), Why: "person", At: time.Now()})
}

// postNote tells the agents something. Where the plan has no notes it goes where
// Policy.NoteFallback says, whole.
func (c *crispCalls) postNote(ctx context.Context, rec *record, e *effect, r result) result {
	text := e.Note
	if text == "" {
		texts := c.host.texts(rec)
		text = texts.get(e.Text)
	}
	var part string
	if part, r.parts = partOf(text, e.Part); part == "" {
		r.parts, r.found = 1, true // it has no such part
		return r
	}
	site := c.sites.of(rec)
	noNotes, err := site.NoNotes(ctx)
	if r.err = err; err != nil {
		return r
	}
	if !noNotes {
		_, r.err = site.API.Send(ctx, e.Crisp, crispapi.Outgoing{Type: "note", From: "operator", Origin: c.cfg.Origin, Content: crispcontent.NewText(part), Fingerprint: e.FP})
		if api := apiError(r.err); api == nil || !api.NotOnPlan() {
			return r
		}
		if r.err = site.RememberNoNotes(ctx); r.err != nil {
			return r
		}
	}
	r.parts, r.found = 1, true // nothing of it is in the log
	if c.cfg.Policy.NoteFallback != NoteInData {
		if site.Advise("the plan's notes") {
			c.cfg.Logger.Warn("handover: the workspace's plan has no private notes: agents are not told what notes would say: "+
				"set Policy.NoteFallback to NoteInData, or take a plan with notes", "website", site.ID)
		}
		return r
	}
	have, err := site.API.Metas(ctx, e.Crisp)
	if r.err = err; err == nil {
		r.err = site.API.SetMetas(ctx, e.Crisp, crispapi.Metas{Data: have.Data}.With(crispapi.Metas{Data: map[string]any{"handover_note": text}}))
	}
	return r
}

// create makes the Crisp conversation, at the website's pace. When the answer is lost the
// conversation that may exist has no message, and Crisp's lists hide it.
func (c *crispCalls) create(ctx context.Context, rec *record, e *effect, r result) result {
	if !e.Placed {
		at, placed, err := c.sites.of(rec).Place(ctx)
		if err != nil {
			r.err = err
			return r
		}
		if at.After(c.clock.now()) {
			r.retry, r.paced, r.placed = at, true, placed
			return r
		}
	}
	r.made, r.err = c.sites.of(rec).API.Create(ctx)
	return r
}

// setMetas gives Crisp the user's data and segments. A refused field is left out, or shown among
// the data, and never stops the opening.
func (c *crispCalls) setMetas(ctx context.Context, rec *record, e *effect) (emailed bool, err error) {
	ho := rec.handoverOf(e.HandoverID)
	if ho == nil {
		return false, nil
	}
	want, api := c.metasOf(ho), c.sites.of(rec).API
	if e.Metas != nil && e.Metas.Merge {
		have, err := api.Metas(ctx, e.Crisp)
		if fault := apiError(err); fault != nil && fault.StatusCode == http.StatusNotFound {
			// A read may be older than the conversation: a change tells whether it is gone.
			if probe := api.SetMetas(ctx, e.Crisp, crispapi.Metas{Nickname: want.Nickname}); probe != nil {
				return false, probe
			}
		}
		if err != nil {
			return false, err
		}
		want = have.With(want)
	}
	left, err := api.SetMetasThatFit(ctx, e.Crisp, want)
	for _, name := range left {
		c.host.tell(Activity{Kind: ActivityLimited, Conversation: rec.Conversation, CrispID: e.Crisp, Why: name, At: time.Now()})
	}
	return err == nil && want.Email != "" && !slices.Contains(left, "email"), err
}

// metasOf is what Crisp shall know of the user.
func (c *crispCalls) metasOf(ho *handover) crispapi.Metas {
	u := ho.Request.User.metas()
	m := crispapi.Metas{Nickname: u.Nickname, Email: u.Email, Phone: u.Phone, Avatar: u.Avatar, Data: u.Data}
	if m.Email != "" && c.cfg.Policy.Email != EmailAlways && !ho.ByEmail {
		m.Email = ""
		if c.cfg.Policy.Email == EmailNever {
			m.Data = maps.Clone(m.Data)
			if m.Data == nil {
				m.Data = make(map[string]any)
			}
			m.Data["email"] = u.Email
		}
	}
	for _, s := range ho.Request.Segments {
		if s != "" && !slices.Contains(m.Segments, s) {
			m.Segments = append(m.Segments, s)
		}
	}
	if ho.Request.Locale != "" {
		m.Device = &crispapi.Device{Locales: []string{ho.Request.Locale}}
	}
	return m
}

// read reads Crisp's log back to where it was read before, and the state if that is wanted. A state
// that cannot be read does not hold up the messages.
func (c *crispCalls) read(ctx context.Context, rec *record, l *crisplog.Read) *crisplog.Reading {
	api := c.sites.of(rec).API
	pages := 0
	if l.Early {
		pages = 1
	}
	n, err := c.log(ctx, rec, l.Crisp, l.Stop, crispapi.Reach{Since: l.Since, Pages: pages, Ahead: l.Ahead})
	n.Of, n.Err = l, err
	if n.Err == nil && l.State {
		if state, err := api.Conversation(ctx, l.Crisp); err == nil {
			n.State = &state
		} else {
			fault := apiError(err)
			n.StateErr, n.Refused = err, fault != nil && !fault.Temporary()
		}
	}
	for _, err := range []error{n.Err, n.StateErr} {
		if e := apiError(err); e != nil && e.StatusCode == http.StatusNotFound {
			n.Gone = api.Gone(ctx, l.Crisp)
			break
		}
	}
	for _, fp := range l.Singles {
		if n.Err != nil || n.Shows(fp) {
			continue
		}
		item, err := api.Message(ctx, l.Crisp, fp)
		switch {
		case err != nil:
			n.Err = err
		case item == nil || item.Why != "":
			n.Missing = append(n.Missing, fp)
		default:
			messages, _ := crisplog.MessagesOf([]crispapi.Item{*item})
			n.Singles = append(n.Singles, messages...)
		}
	}
	return n
}

// log reads messages from the newest back, as far as reach says, or to a page that has one of the messages in
// stop. What is cut is true when messages may be missing.
func (c *crispCalls) log(ctx context.Context, rec *record, id string, stop []int64, reach crispapi.Reach) (*crisplog.Reading, error) {
	reach.Known = func(fp int64) bool { return slices.Contains(stop, fp) }
	read, err := c.sites.of(rec).API.Messages(ctx, id, reach)
	n := &crisplog.Reading{Cut: read.Cut || read.Gap}
	n.Messages, n.Odd = crisplog.MessagesOf(read.Items)
	return n, err
}

// humanPart reads the conversation of the user with the agents from Crisp's log. unread is true
// when it cannot be read.
func (c *crispCalls) humanPart(ctx context.Context, rec *record, e *effect) (all []Message, unread bool) {
	if e.Crisp == "" {
		return nil, false
	}
	read, err := c.log(ctx, rec, e.Crisp, []int64{e.FP}, crispapi.Reach{Since: e.At})
	if err != nil {
		return nil, true
	}
	for _, l := range inOrder(read.Messages) {
		if l.Timestamp < e.At {
			continue // before the takeover
		}
		if rec.beganLater(e, l) {
			break // OnEnd hears of its end late
		}
		from := FromUser
		var agent Agent
		if l.From == "operator" {
			if l.Private() || l.Automated || c.cfg.Policy.isBot(l.Origin) {
				continue
			}
			from, agent = FromAgent, agentOf(l.Author)
		}
		if l.Fingerprint == e.FP {
			all = nil // what came before belongs to an earlier handover
			continue
		}
		parts, err := crispcontent.Show(l.Type, l.Content, l.Fingerprint)
		if err != nil {
			continue
		}
		for i, p := range parts {
			m := Message{ID: messageID(e.Crisp, l.Fingerprint, i), From: from, Agent: agent, At: time.UnixMilli(l.Timestamp).UTC()}
			m.Content, m.File = contentOf(p)
			all = append(all, m)
		}
	}
	return all, read.Cut
}

// inOrder returns messages in the order of Crisp's log.
func inOrder(msgs []crisplog.Message) []*crisplog.Message {
	all := make([]*crisplog.Message, len(msgs))
	for i := range msgs {
		all[i] = &msgs[i]
	}
	slices.SortStableFunc(all, func(a, b *crisplog.Message) int {
		return crisplog.Position{At: a.Timestamp, FP: a.Fingerprint}.Compare(crisplog.Position{At: b.Timestamp, FP: b.Fingerprint})
	})
	return all
}
