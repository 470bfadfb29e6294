package handover

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxPost is the longest text that is posted to Crisp as one message, in UTF-16 units: Crisp's own
// import tool cuts there. The true limit is unknown.
const maxPost = 2000

// post is one Crisp message made of what the user sent.
type post struct {
	typ     string
	content jsontext.Value
}

// posts turns a message of the user into Crisp messages: the text in parts, then the files.
func (m *Incoming) posts() []post {
	var all []post
	text := m.Text
	if blank(text) && len(m.Files) == 0 {
		text = m.Payload
	}
	for _, part := range split(text, maxPost) {
		all = append(all, textPost(part))
	}
	for _, f := range m.Files {
		all = append(all, f.post())
	}
	return all
}

func textPost(text string) post { return post{"text", quote(text)} }

// quote makes a JSON string of any text.
func quote(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		return jsontext.Value(`""`)
	}
	return b
}

// post makes a file a Crisp message: audio as such, all else, images included, as a file.
func (f *File) post() post {
	if strings.HasPrefix(f.MIMEType, "audio/") {
		c := map[string]any{"url": f.URL, "type": f.MIMEType}
		if s := int(f.Duration / time.Second); s > 0 {
			c["duration"] = s
		}
		return post{"audio", jsonOf(c)}
	}
	name, mime := f.Name, f.MIMEType
	if name == "" {
		name = "file"
		if u, err := url.Parse(f.URL); err == nil && path.Base(u.Path) != "/" && path.Base(u.Path) != "." {
			name = path.Base(u.Path)
		}
	}
	if mime == "" {
		mime = "application/octet-stream"
	}
	return post{"file", jsonOf(map[string]any{"name": name, "url": f.URL, "type": mime})}
}

// jsonOf makes JSON of a value that cannot fail to become it.
func jsonOf(v any) jsontext.Value {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return jsontext.Value("null")
	}
	return b
}

// fingerprint is the id of a message that we post: the same for the same message at each attempt,
// 15 digits like Crisp's own, below 2^53.
func fingerprint(c Conversation, stay, incoming string, part int) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %d", c.WebsiteID, c.Source, c.ID, stay, incoming, part))
	const low, high = 100_000_000_000_000, 1_000_000_000_000_000
	return int64(binary.BigEndian.Uint64(sum[:8])%(high-low)) + low
}

// messageID names one part of a message in Crisp's log.
func messageID(crisp string, fp int64, part int) string {
	if part == 0 {
		return fmt.Sprintf("%s/%d", crisp, fp)
	}
	return fmt.Sprintf("%s/%d.%d", crisp, fp, part)
}

// systemID names something that the library says.
func systemID(stay, what string, n int64) string { return fmt.Sprintf("%s/%s/%d", stay, what, n) }

// queuePosts puts a message of the user on its way to Crisp, behind those before it.
func (d *data) queuePosts(s *seen, st *stay) {
	s.Outcome, s.Epoch = outcomePosting, d.Epoch
	for i, p := range s.Incoming.posts() {
		fp := fingerprint(d.Conversation, st.ID, s.ID, i)
		d.push(&d.Out, effect{Kind: kindPost, Stay: st.ID, Crisp: st.CrispID, Incoming: s.ID, FP: fp, Part: i, Type: p.typ, Content: p.content, At: d.newest(st.CrispID)})
		if c := d.session(st.CrispID); c != nil {
			d.ours(c, fp)
		}
	}
}

// newest is Crisp's time of the newest that is known of a session: what is posted now comes after it.
func (d *data) newest(crisp string) int64 {
	if s := d.session(crisp); s != nil {
		return s.Newest
	}
	return 0
}

// ours notes that we posted, or are about to post, this fingerprint.
func (d *data) ours(s *crispSession, fp int64) {
	if e := s.entry(fp); e != nil {
		e.Fate = fateOurs
		return
	}
	s.Table = append(s.Table, &entry{order: order{FP: fp}, Fate: fateOurs})
}

// post posts a message. When the last attempt may have been carried out, Crisp's log is asked
// first: a message is never posted again because an answer was lost.
func (h *Handover) post(ctx context.Context, d *data, e *effect, r report) report {
	if e.Unsure && !h.hooks.NoLookUp {
		fp, found, err := h.lookUp(ctx, d, e)
		switch {
		case err != nil:
			r.err = err
		case found:
			r.fp = fp
		default:
			r.missing = true
		}
		return r
	}
	content := e.Content
	if e.Kind == kindGreet {
		content = quote(h.greeting(d, e))
	}
	typ := e.Type
	if typ == "" {
		typ = "text"
	}
	r.fp, r.err = h.site(d.Conversation).crisp.send(ctx, e.Crisp, outgoing{Type: typ, From: "user", Origin: h.cfg.Origin, Content: content, Fingerprint: e.FP})
	return r
}

// lookUp asks Crisp's log for a message of ours. GET message/{fingerprint} would not do: a 404
// may come from a cache.
func (h *Handover) lookUp(ctx context.Context, d *data, e *effect) (int64, bool, error) {
	var since, first int64
	if s := d.session(e.Crisp); s != nil {
		since, first = s.Watermark-overlap.Milliseconds(), s.First
	}
	msgs, err := h.site(d.Conversation).crisp.pages(ctx, e.Crisp, since, first)
	if err != nil {
		return 0, false, err
	}
	for i := range msgs {
		if m := &msgs[i]; m.Fingerprint == e.FP || h.sameAs(d, e, m) {
			return m.Fingerprint, true, nil
		}
	}
	return 0, false, nil
}

// sameAs reports whether a message in Crisp is the one of an effect under another fingerprint.
func (h *Handover) sameAs(d *data, e *effect, m *EventMessage) bool {
	s := d.session(e.Crisp)
	if e.Kind == kindGreet {
		greet := *e
		greet.Type, greet.Content = "text", quote(h.greeting(d, e))
		e = &greet
	}
	return s != nil && s.entry(m.Fingerprint) == nil && e.same(m, h.cfg.Origin)
}

// same reports whether a message in Crisp says what a post says, and is no older one: users repeat
// themselves, and not all of what they wrote stays in the table.
func (e *effect) same(m *EventMessage, origin string) bool {
	return m.From == "user" && m.Origin == origin && m.Timestamp >= e.At && hashOf(m.Type, m.Content) == hashOf(e.Type, e.Content)
}

// greeting is the first message of the Crisp conversation.
func (h *Handover) greeting(d *data, e *effect) string {
	st := d.stayOf(e.Stay)
	if st == nil {
		return ""
	}
	link := st.Request.HistoryURL
	if link == "" {
		link = h.cfg.History.link(d.Conversation, st.Asked) // the same at each attempt
	}
	texts := h.texts(d)
	return texts.opening(st.ByEmail, link)
}

// match finds the post of ours that Crisp shows under another fingerprint, and settles it.
func (d *data) match(s *crispSession, m *EventMessage) {
	for _, e := range d.Out.Queue {
		if e.Crisp == s.ID && e.Attempts > 0 && e.Kind == kindPost && e.same(m, d.env.cfg.Origin) {
			d.settle(&d.Out, report{effect: e.N, fp: m.Fingerprint})
			return
		}
	}
}

// proved settles a post that Crisp's log shows, whatever became of the call.
func (d *data) proved(s *crispSession, fp int64) {
	for _, e := range d.Out.Queue {
		if e.Crisp != s.ID || e.FP != fp || e.Attempts == 0 {
			continue
		}
		if e.Kind == kindPost || e.Kind == kindGreet {
			d.settle(&d.Out, report{effect: e.N, fp: fp})
			return
		}
	}
}

// posted notes that Crisp has a message.
func (d *data) posted(e *effect, fp int64) {
	s := d.session(e.Crisp)
	if s != nil {
		s.Resolved, s.Closed, s.Echo = time.Time{}, false, time.Time{} // a message of the user reopens
		d.ours(s, fp)
	}
	d.passed(e)
}

// passed notes that one effect for a message of the user is done.
func (d *data) passed(e *effect) {
	rest := slices.ContainsFunc(d.Out.Queue, func(x *effect) bool { return x.Incoming == e.Incoming })
	in := d.find(e.Incoming)
	if rest || in == nil || in.Outcome != outcomePosting {
		return
	}
	in.Outcome, in.Incoming = outcomePosted, nil
	d.observe(Activity{Kind: ActivityRelayed, MessageID: in.ID, Attempt: e.Attempts, Took: d.env.now.Sub(in.At)})
}

// postFailed reports whether a message is given up: Crisp refuses it for good. Otherwise it is
// tried until it passes or the handover ends; an outcome that is unknown is looked up first.
func (d *data) postFailed(e *effect, r report) bool {
	api := apiError(r.err)
	if r.gone { // its handover has ended: the message is the bot's
		d.giveBack(e)
		return true
	}
	if api != nil && !api.Temporary() && !e.Unsure {
		d.refuse(e, api)
		return true
	}
	running := d.runs(e.Stay)
	if !running && !e.Unsure && e.Part == 0 && (api == nil || api.SafeToRetry()) {
		d.giveBack(e)
		return true
	}
	if !running && d.env.now.Sub(e.Since) > d.env.cfg.Timeouts.Relay {
		d.refuse(e, api)
		return true
	}
	d.again(e, api)
	if e.Unsure && api != nil && api.StatusCode == http.StatusNotFound {
		d.enqueue(Event{SessionID: e.Crisp}) // looks tell whether the conversation is gone
	}
	if !e.Unsure && api != nil && !api.SafeToRetry() {
		e.Unsure = true
		e.Next = latest(e.Next, r.begun.Add(callTimeout))
	}
	return false
}

// refuse gives a message up, and says so.
func (d *data) refuse(e *effect, api *APIError) {
	d.observe(Activity{Kind: ActivityNotSent, MessageID: e.Incoming, Err: api, Attempt: e.Attempts})
	d.say(textNotSent, "")
	if e.Type != "text" {
		d.note(e.Crisp, noteOtherFile)
	}
	d.Out.drop(func(x *effect) bool { return x.Incoming == e.Incoming && x != e })
	if in := d.find(e.Incoming); in != nil {
		in.Outcome, in.Incoming = outcomeRefused, nil
		if api != nil {
			in.Fault = fmt.Sprintf("HTTP %d %s", api.StatusCode, api.Reason)
		}
	}
}

// giveBack gives the bot a message that Crisp has no part of.
func (d *data) giveBack(e *effect) {
	d.Out.drop(func(x *effect) bool { return x.Incoming == e.Incoming && x != e })
	d.env.returned = append(d.env.returned, e.Incoming)
	d.returnToBot()
}

// follows reports whether Crisp has the parts of a message before this one.
func (d *data) follows(e *effect) bool {
	return e.Part > 0 && !slices.ContainsFunc(d.Out.Queue, func(x *effect) bool { return x.Incoming == e.Incoming && x.Part < e.Part })
}

// returnToBot makes turns of the messages that an end gave back. One that nobody waits for any
// more is told to the user.
func (d *data) returnToBot() {
	told := false
	for _, id := range d.env.returned {
		in := d.find(id)
		if in == nil || in.Outcome != outcomePosting {
			continue
		}
		in.Outcome, in.Epoch = outcomeTurn, d.Epoch
		if in.Left {
			if d.Stay != nil && !slices.Contains(d.Stay.Unsent, id) {
				d.Stay.Unsent = append(d.Stay.Unsent, id)
			}
			told = true
		}
	}
	d.env.returned = nil
	if told {
		d.say(textNotSent, "")
	}
}

// choose finds the agent's question that a message answers: by its payload, or by the title of
// a choice, as keyboards send it. Only the newest question can be answered by title.
func (d *data) choose(m *Incoming) (picker, int, bool) {
	if fp, i, ok := parsePickerPayload(m.Payload); ok {
		for _, p := range d.Pickers {
			if p.FP == fp && i < len(pickerChoices(p.Content)) {
				return p, i, true
			}
		}
	}
	if len(d.Pickers) == 0 || len(m.Files) > 0 {
		return picker{}, 0, false
	}
	p := d.Pickers[len(d.Pickers)-1]
	i, ok := matchChoice(m.Text, pickerChoices(p.Content))
	return p, i, ok
}

// queueAnswer chooses in the agent's picker for the user.
func (d *data) queueAnswer(s *seen, p picker, i int) bool {
	content, err := answerPicker(p.Content, i)
	if err != nil {
		return false
	}
	s.Outcome, s.Epoch = outcomePosting, d.Epoch
	label := pickerChoices(p.Content)[i].Label
	d.push(&d.Out, effect{Kind: kindAnswer, Stay: d.Stay.ID, Crisp: p.Crisp, Incoming: s.ID, FP: p.FP, Content: content, Else: label})
	return true
}

// answered notes that the picker shows the user's choice.
func (d *data) answered(e *effect) {
	d.Pickers = slices.DeleteFunc(d.Pickers, func(p picker) bool { return p.FP == e.FP && p.Crisp == e.Crisp })
	d.passed(e)
}

// answerFailed posts the answer as text when Crisp refuses to update the picker.
func (d *data) answerFailed(e *effect, r report) bool {
	if !d.runs(e.Stay) { // its handover has ended: the message is the bot's
		d.giveBack(e)
		return true
	}
	api := apiError(r.err)
	if (api == nil || api.Temporary()) && (api == nil || api.StatusCode != http.StatusNotFound) {
		d.again(e, api) // choosing the same twice does no harm
		return false
	}
	in := d.find(e.Incoming)
	if in == nil {
		return true
	}
	text := textPost(e.Else)
	fp := fingerprint(d.Conversation, e.Stay, in.ID, 0)
	if c := d.session(e.Crisp); c != nil {
		d.ours(c, fp)
	}
	next := effect{N: d.next(), Kind: kindPost, Stay: e.Stay, Crisp: e.Crisp, Incoming: in.ID, FP: fp, Type: text.typ, Content: text.content, At: d.newest(e.Crisp)}
	at := slices.Index(d.Out.Queue, e)
	d.Out.Queue = slices.Insert(d.Out.Queue, at+1, &next) // in the answer's place
	return true
}

// postNote tells the agents something. Where the plan has no notes it goes where
// Policy.NoteFallback says.
func (h *Handover) postNote(ctx context.Context, d *data, e *effect) error {
	text := e.Note
	if text == "" {
		texts := h.texts(d)
		text = texts.get(e.Text)
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	site := h.site(d.Conversation)
	noNotes, err := site.noNotes(ctx)
	if err != nil {
		return err
	}
	if !noNotes {
		_, err := site.crisp.send(ctx, e.Crisp, outgoing{Type: "note", From: "operator", Origin: h.cfg.Origin, Content: quote(text), Fingerprint: e.FP})
		if api := apiError(err); api == nil || !api.notOnPlan() {
			return err
		}
		if err := site.rememberNoNotes(ctx); err != nil {
			return err
		}
	}
	if h.cfg.Policy.NoteFallback != NoteInData {
		return nil
	}
	have, err := site.crisp.metas(ctx, e.Crisp)
	if err != nil {
		return err
	}
	return site.crisp.setMetas(ctx, e.Crisp, mergeMetas(crispMetas{Data: have.Data}, crispMetas{Data: map[string]any{"handover_note": text}}))
}

// ErrUnsafeFile is returned by Receive for a file whose URL must not be given to Crisp.
var ErrUnsafeFile = errors.New("handover: the file's URL cannot be passed on")

// telegramFile is in the path of a file on Telegram's API, also on a server of the host's own: it holds
// the bot's token.
var telegramFile = regexp.MustCompile(`/file/bot[^/]+:`)

// checkFile refuses URLs that no agent can open, and those that carry a secret.
func checkFile(f File) error {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: it must be an http or https URL", ErrUnsafeFile)
	}
	if u.User != nil {
		return fmt.Errorf("%w: it holds a password", ErrUnsafeFile)
	}
	if telegramFile.MatchString(u.Path) {
		return fmt.Errorf("%w: a Telegram file URL holds the bot's token: serve the file from your own server", ErrUnsafeFile)
	}
	return nil
}
