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

	"github.com/crisphandover/handover/internal/textsplit"
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
	for _, part := range textsplit.Split(text, maxPost) {
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
func fingerprint(c Conversation, handoverID, incoming string, part int) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %d", c.WebsiteID, c.Source, c.ID, handoverID, incoming, part))
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
func systemID(id, what string, n int64) string { return fmt.Sprintf("%s/%s/%d", id, what, n) }

// queuePosts puts a message of the user on its way to Crisp, behind those before it.
func (rec *record) queuePosts(s *userMessage, ho *handover) {
	s.Status, s.Epoch = messagePosting, rec.Epoch
	for i, p := range s.Incoming.posts() {
		fp := fingerprint(rec.Conversation, ho.ID, s.ID, i)
		rec.push(&rec.ToCrisp, effect{Kind: kindPost, HandoverID: ho.ID, Crisp: ho.CrispID, Incoming: s.ID, FP: fp, Part: i, Type: p.typ, Content: p.content, At: rec.newest(ho.CrispID)})
		if c := rec.Sessions.byID(ho.CrispID); c != nil {
			c.Log.ours(fp)
		}
	}
}

// newest is Crisp's time of the newest that is known of a session: what is posted now comes after it.
func (rec *record) newest(crisp string) int64 {
	if s := rec.Sessions.byID(crisp); s != nil {
		return s.Log.Newest
	}
	return 0
}

// post posts a message. When the last attempt may have been carried out, Crisp's log is asked
// first: a message is never posted again because an answer was lost.
func (h *Handover) post(ctx context.Context, rec *record, e *effect, r result) result {
	if e.Unsure && !h.hooks.NoLookUp {
		fp, found, err := h.lookUp(ctx, rec, e)
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
	content := e.Content
	if e.Kind == kindGreet {
		content = quote(h.greeting(rec, e))
	}
	typ := e.Type
	if typ == "" {
		typ = "text"
	}
	r.fp, r.err = h.siteOf(rec).crisp.send(ctx, e.Crisp, outgoing{Type: typ, From: "user", Origin: h.cfg.Origin, Content: content, Fingerprint: e.FP})
	return r
}

// lookUp asks Crisp's log for a message of ours. GET message/{fingerprint} would not do: a 404
// may come from a cache.
func (h *Handover) lookUp(ctx context.Context, rec *record, e *effect) (int64, bool, error) {
	since, stop := e.At-listSlack, []int64(nil)
	if s := rec.Sessions.byID(e.Crisp); s != nil {
		stop = []int64{s.Log.First}
		if e.At == 0 {
			since = s.Log.Watermark - overlap.Milliseconds()
		}
	}
	msgs, _, _, err := h.siteOf(rec).crisp.log(ctx, e.Crisp, since, stop)
	if err != nil {
		return 0, false, err
	}
	for i := range msgs {
		if m := &msgs[i]; m.Fingerprint == e.FP || h.sameAs(rec, e, m) {
			return m.Fingerprint, true, nil
		}
	}
	return 0, false, nil
}

// sameAs reports whether a message in Crisp is the one of an effect under another fingerprint.
func (h *Handover) sameAs(rec *record, e *effect, m *EventMessage) bool {
	s := rec.Sessions.byID(e.Crisp)
	if e.Kind == kindGreet {
		greet := *e
		greet.Type, greet.Content = "text", quote(h.greeting(rec, e))
		e = &greet
	}
	return s != nil && s.Log.entry(m.Fingerprint) == nil && e.same(m, h.cfg.Origin)
}

// same reports whether a message in Crisp says what a post says, and is no older one: users repeat
// themselves, and not all of what they wrote stays in the table.
func (e *effect) same(m *EventMessage, origin string) bool {
	return m.From == "user" && m.Origin == origin && m.Timestamp >= e.At && hashOf(m.Type, m.Content) == hashOf(e.Type, e.Content)
}

// greeting is the first message of the Crisp conversation.
func (h *Handover) greeting(rec *record, e *effect) string {
	ho := rec.handoverOf(e.HandoverID)
	if ho == nil {
		return ""
	}
	link := ho.Request.HistoryURL
	if link == "" {
		link = h.cfg.History.link(rec.Conversation, ho.Asked) // the same at each attempt
	}
	texts := h.texts(rec)
	return texts.opening(ho.ByEmail, link)
}

// match finds the post of ours that Crisp shows under another fingerprint, and settles it.
func (rec *record) match(s *crispSession, m *EventMessage) {
	for _, e := range rec.ToCrisp {
		if e.Crisp == s.ID && e.Attempts > 0 && e.Kind == kindPost && e.same(m, rec.env.cfg.Origin) {
			rec.settle(&rec.ToCrisp, result{effect: e.N, fp: m.Fingerprint})
			return
		}
	}
}

// proved settles a post that Crisp's log shows, whatever became of the call.
func (rec *record) proved(s *crispSession, fp int64) {
	for _, e := range rec.ToCrisp {
		if e.Crisp != s.ID || e.FP != fp || e.Attempts == 0 {
			continue
		}
		if e.Kind == kindPost || e.Kind == kindGreet {
			rec.settle(&rec.ToCrisp, result{effect: e.N, fp: fp})
			return
		}
	}
}

// posted notes that Crisp has a message.
func (rec *record) posted(e *effect, fp int64) {
	s := rec.Sessions.byID(e.Crisp)
	if s != nil {
		s.State.reopened() // a message of the user reopens
		s.Log.ours(fp)
	}
	rec.passed(e)
}

// passed notes that one effect for a message of the user is done.
func (rec *record) passed(e *effect) {
	rest := slices.ContainsFunc(rec.ToCrisp, func(x *effect) bool { return x.Incoming == e.Incoming })
	in := rec.UserMessages.find(e.Incoming)
	if rest || in == nil || in.Status != messagePosting {
		return
	}
	in.done(messagePosted)
	rec.observe(Activity{Kind: ActivityRelayed, MessageID: in.ID, Attempt: e.Attempts, Took: rec.env.now.Sub(in.At)})
}

// postFailed reports whether a message is given up: Crisp refuses it for good. Otherwise it is
// tried until it passes or the handover ends; an outcome that is unknown is looked up first.
func (rec *record) postFailed(e *effect, r result) bool {
	api := apiError(r.err)
	if r.gone { // its handover has ended: the message is the bot's
		rec.giveBack(e)
		return true
	}
	if api != nil && !api.Temporary() && !e.Unsure {
		rec.refuse(e, api)
		return true
	}
	running := rec.runs(e.HandoverID)
	if !running && !e.Unsure && e.Part == 0 && (api == nil || api.SafeToRetry()) {
		rec.giveBack(e)
		return true
	}
	if !running && rec.env.now.Sub(e.Since) > rec.env.cfg.Timeouts.Relay {
		rec.refuse(e, api)
		return true
	}
	rec.again(e, api)
	if e.Unsure && api != nil && api.StatusCode == http.StatusNotFound {
		rec.look(e.Crisp) // looks tell whether the conversation is gone
	}
	if !e.Unsure && api != nil && !api.SafeToRetry() {
		e.Unsure = true
		e.Next = latest(e.Next, r.begun.Add(callTimeout))
	}
	return false
}

// refuse gives a message up, and says so.
func (rec *record) refuse(e *effect, api *APIError) {
	rec.observe(Activity{Kind: ActivityNotSent, MessageID: e.Incoming, Err: api, Attempt: e.Attempts})
	rec.say(textNotSent, "")
	if e.Type != "text" {
		rec.note(e.Crisp, noteOtherFile)
	}
	rec.ToCrisp.drop(func(x *effect) bool { return x.Incoming == e.Incoming && x != e })
	if in := rec.UserMessages.find(e.Incoming); in != nil {
		in.done(messageRefused)
		if api != nil {
			in.Fault = fmt.Sprintf("HTTP %d %s", api.StatusCode, api.Reason)
		}
	}
}

// giveBack gives the bot a message that Crisp has no part of.
func (rec *record) giveBack(e *effect) {
	rec.ToCrisp.drop(func(x *effect) bool { return x.Incoming == e.Incoming && x != e })
	rec.env.returned = append(rec.env.returned, e.Incoming)
	rec.returnToBot()
}

// follows reports whether Crisp has the parts of a message before this one.
func (rec *record) follows(e *effect) bool {
	return e.Part > 0 && !slices.ContainsFunc(rec.ToCrisp, func(x *effect) bool { return x.Incoming == e.Incoming && x.Part < e.Part })
}

// returnToBot makes turns of the messages that an end gave back. One that nobody waits for any
// more is told to the user.
func (rec *record) returnToBot() {
	told := false
	for _, id := range rec.env.returned {
		in := rec.UserMessages.find(id)
		if in == nil || in.Status != messagePosting {
			continue
		}
		in.Status, in.Epoch = messageTurn, rec.Epoch
		if in.Left {
			if rec.Handover != nil && !slices.Contains(rec.Handover.Unsent, id) {
				rec.Handover.Unsent = append(rec.Handover.Unsent, id)
			}
			told = true
		}
	}
	rec.env.returned = nil
	if told {
		rec.say(textNotSent, "")
	}
}

// queueAnswer chooses in the agent's picker for the user.
func (rec *record) queueAnswer(s *userMessage, p picker, i int) bool {
	content, err := answerPicker(p.Content, i)
	if err != nil {
		return false
	}
	s.Status, s.Epoch = messagePosting, rec.Epoch
	label := pickerChoices(p.Content)[i].Label
	rec.push(&rec.ToCrisp, effect{Kind: kindAnswer, HandoverID: rec.Handover.ID, Crisp: p.Crisp, Incoming: s.ID, FP: p.FP, Content: content, Else: label})
	return true
}

// answered notes that the picker shows the user's choice.
func (rec *record) answered(e *effect) {
	rec.Pickers.removed(e.Crisp, e.FP)
	rec.passed(e)
}

// answerFailed posts the answer as text when Crisp refuses to update the picker.
func (rec *record) answerFailed(e *effect, r result) bool {
	if !rec.runs(e.HandoverID) { // its handover has ended: the message is the bot's
		rec.giveBack(e)
		return true
	}
	api := apiError(r.err)
	if (api == nil || api.Temporary()) && (api == nil || api.StatusCode != http.StatusNotFound) {
		rec.again(e, api) // choosing the same twice does no harm
		return false
	}
	in := rec.UserMessages.find(e.Incoming)
	if in == nil {
		return true
	}
	text := textPost(e.Else)
	fp := fingerprint(rec.Conversation, e.HandoverID, in.ID, 0)
	if c := rec.Sessions.byID(e.Crisp); c != nil {
		c.Log.ours(fp)
	}
	next := effect{N: rec.next(), Kind: kindPost, HandoverID: e.HandoverID, Crisp: e.Crisp, Incoming: in.ID, FP: fp, Type: text.typ, Content: text.content, At: rec.newest(e.Crisp)}
	at := slices.Index(rec.ToCrisp, e)
	rec.ToCrisp = slices.Insert(rec.ToCrisp, at+1, &next) // in the answer's place
	return true
}

// postNote tells the agents something. Where the plan has no notes it goes where
// Policy.NoteFallback says.
func (h *Handover) postNote(ctx context.Context, rec *record, e *effect) error {
	text := e.Note
	if text == "" {
		texts := h.texts(rec)
		text = texts.get(e.Text)
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	site := h.siteOf(rec)
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
