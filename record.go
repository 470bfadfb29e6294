package handover

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// record is all that is known of one conversation: what Record.Data holds. It changes only in
// engine.update, by functions that do no I/O.
type record struct {
	V            int          `json:"v"`
	Conversation Conversation `json:"conversation"`
	Website      string       `json:"-"` // that it is handed to, whatever the configuration says later: its key says it
	Claim        claims.Claim `json:"claim,omitzero"`
	Touched      time.Time    `json:"touched,omitzero"` // when the user last gave a sign; written if that is not Since
	standing
	effects

	Sessions     crisplog.Sessions      `json:"sessions,omitempty"`      // the newest last
	Pickers      crispcontent.Questions `json:"pickers,omitempty"`       // agents' questions that may be answered
	UserMessages userMessages           `json:"user_messages,omitempty"` // the user's messages, the newest last
	Hooks        crisplog.Hooks         `json:"hooks,omitempty"`         // hooks that are not absorbed yet
	Replies      replies                `json:"replies,omitempty"`       // bot messages under way
	Settled      settled                `json:"settled,omitempty"`       // the token of the last result of each direction

	// Unknown keeps the members that a newer version of the library wrote, in a rolling upgrade.
	// Such members are added here, at the top.
	Unknown jsontext.Value `json:",embed,unknown"`

	env *env // of the update that is running
}

// env is what a change of the record may use besides the record.
type env struct {
	cfg        *Config
	now        time.Time
	crisp      crisplog.Clock // as any conversation of this process showed it last, or Crisp's answers tell
	stored     bool           // the record exists
	version    int64          // of the record
	record     Record         // as it was saved
	before     awaited        // what others may wait for, as the record was
	attending  direction      // in which the work goes on without a nudge
	stepping   bool           // a step was planned, and is about to begin
	launch     *launch        // what begins with the save, if anything does
	activity   []Activity     // told to the observer when the change is saved
	returned   []string       // Incoming ids that an end gives back to the bot
	trustHooks bool           // see testhook.Hooks.NoLog
	free       bool           // who makes the change does not look at the record after it is saved
	altered    bool           // the record was written as another one than it is, see encode
	mine       bool           // this process has the claim after the save
	speaking   bool           // the bot speaks in this process, where no agent can interrupt it
	hushed     bool           // it did when the record was read, and not any more when it was saved
	answers    bool           // this process has the bot answer what waits for it after the save
}

// saved reports whether the record was saved, and not only read.
func (e *env) saved() bool { return e.record.Version != 0 }

// others reports whether the record belongs to others now: whoever has it next may use it as it is.
func (e *env) others() bool { return e.free && e.saved() && !e.altered }

// recordVersion is record.V. Readers refuse a later one: they would act on what they misread.
const recordVersion = 1

// recordJSON is how records are written: text that is not UTF-8 must not lose a conversation.
var recordJSON = json.JoinOptions(
	jsontext.AllowInvalidUTF8(true),
	jsontext.AllowDuplicateNames(true),
	jsonv1.FormatDurationAsNano(true),
	json.Deterministic(true),
)

// ErrRecord is returned for a conversation whose stored record this process cannot read, write or work on. Other
// conversations go on. It stays until somebody mends the record or the program: the log says what is wrong.
var ErrRecord = errors.New("handover: the conversation's record cannot be worked on")

var errUnreadable = fmt.Errorf("%w: it cannot be read: was it written by another program?", ErrRecord)

// errUnwritable is for a record that got something into it which cannot be stored.
var errUnwritable = fmt.Errorf("%w: it cannot be written", ErrRecord)

// errLaterVersion is for a record that this version must leave alone. It is no ErrRecord: a process of the later
// version can work on it.
var errLaterVersion = errors.New("handover: the record was written by a later version: upgrade this process")

// decodeRecord reads a record; one that was never stored gives a conversation with its bot. What a
// store returns is not trusted: a record that does not hold together is refused.
func decodeRecord(r Record, key string, conv Conversation, now time.Time) (*record, error) {
	rec := new(record)
	rec.Website, _, _ = strings.Cut(key, "/")
	if r.Version == 0 {
		rec.V, rec.Conversation, rec.State = recordVersion, conv, StateBot
		// An epoch of an earlier, deleted record never fits again.
		rec.Epoch, rec.Since, rec.Touched = now.UnixMilli(), now, now
		rec.First = rec.Epoch
		return rec, nil
	}
	if err := json.Unmarshal(r.Data, rec, recordJSON); err != nil {
		return nil, fmt.Errorf("%w %w", errUnreadable, shapeOf(err))
	}
	if rec.V > recordVersion {
		return nil, errLaterVersion
	}
	if !rec.complete() {
		return nil, fmt.Errorf("%w a handover is in a Crisp session, or by an agent, that is missing", errUnreadable)
	}
	rec.UserMessages.recount(rec.Epoch)
	if fault := rec.fault(key); fault != "" {
		return nil, fmt.Errorf("%w %s", errUnreadable, fault)
	}
	return rec, nil
}

// shapeOf keeps the kind of a JSON fault and drops its words, which may quote users' data.
func shapeOf(err error) error {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		return fmt.Errorf("JSON member %q", string(sem.JSONPointer))
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		return fmt.Errorf("JSON fault at offset %d", syn.ByteOffset)
	}
	return errors.New("JSON fault")
}

// newID returns a random id that no one can guess.
func newID() string { return rand.Text() }

// trim drops what can no longer matter: Crisp sessions whose late window has passed and that nothing
// waits for, the request of a handover as old, and what the parts trim themselves.
func (rec *record) trim() {
	rec.UserMessages.trim()
	last, current := rec.Sessions.Last(), rec.current()
	rec.Sessions = slices.DeleteFunc(rec.Sessions, func(s *crisplog.Session) bool {
		return s != last && s != current && !s.Ended.IsZero() && !rec.env.now.Before(s.Ended.Add(rec.env.cfg.Timeouts.Late)) &&
			!slices.ContainsFunc(rec.Hooks, func(k crisplog.Hook) bool { return k.Crisp == s.ID }) &&
			!rec.all().has(func(e *effect) bool { return e.Crisp == s.ID })
	})
	if rec.Handover != nil && !rec.human() && !rec.Handover.Ended.IsZero() && !rec.env.now.Before(rec.Handover.Ended.Add(rec.env.cfg.Timeouts.Late)) {
		rec.Handover.Request = Request{Locale: rec.Handover.Request.Locale} // what is known of the user goes with the late window
	}
	for _, s := range rec.Sessions {
		s.Log.Trim(rec.awaits)
	}
}

// idle reports whether nothing is open.
func (rec *record) idle() bool {
	return rec.State == StateBot && rec.Offer == nil && rec.FollowUp == nil && len(rec.Hooks) == 0 &&
		len(rec.ToUser) == 0 && len(rec.ToCrisp) == 0 && len(rec.Replies) == 0 && rec.UserMessages.head() == nil
}

// live is Record.Live. An answer that the bot gives at its first attempt does not count: most conversations have
// nothing else, and a store writes an index at each save that changes Live.
func (rec *record) live() bool {
	return rec.State != StateBot || rec.Offer != nil || rec.FollowUp != nil || len(rec.Hooks) > 0 ||
		len(rec.ToUser) > 0 || len(rec.ToCrisp) > 0 || len(rec.Away) > 0 || rec.UserMessages.unanswered(rec.Replies.answering() != nil) != nil
}

// keepBare is how long a conversation without any handover is remembered, for the channel's
// repeats of its messages.
const keepBare = 24 * time.Hour

// keepUntil is when an idle record may be forgotten: no late message is promised any more.
func (rec *record) keepUntil() time.Time {
	if len(rec.Sessions) == 0 {
		return rec.Touched.Add(keepBare)
	}
	return rec.Touched.Add(rec.env.cfg.Timeouts.Late)
}

// expired reports whether the record may be forgotten.
func (rec *record) expired() bool {
	return rec.idle() && len(rec.Away) == 0 && !rec.env.now.Before(rec.keepUntil())
}

// What a store returns is not trusted: the library or another program may have had a fault, a disk
// may have lost bytes, a clock may have been wrong. fault refuses a record that the work could not
// rely on; mend sets right what has one right value.

// fault says what does not hold together in a record that was read; "" for none. The work on a record
// relies on all of this.
func (rec *record) fault(key string) string {
	for _, fault := range []func() string{rec.Sessions.Fault, rec.standing.fault, rec.effects.fault} {
		if fault := fault(); fault != "" {
			return fault
		}
	}
	switch {
	case !validID(rec.Conversation.ID):
		return "it has no conversation"
	case key != "" && !rec.belongs(key):
		return "it is of another conversation or website than its key"
	case rec.withAgents() && rec.Sessions.ByID(rec.Handover.CrispID) == nil:
		return "a handover runs in a Crisp session that is missing"
	}
	for _, m := range rec.UserMessages {
		if fault := m.fault(); fault != "" {
			return fault
		}
	}
	for i := range rec.Hooks {
		if n := rec.Hooks[i].N; n < 1 || n > rec.Serial { // it would be read for, and never taken in
			return "a hook has a number that was never given"
		}
	}
	return ""
}

const (
	// maxNumber bounds numbers that only ever grow by one.
	maxNumber = 1 << 53
	// maxPart bounds the parts of one message.
	maxPart = 10_000
)

// belongs reports whether the record is stored under this key.
func (rec *record) belongs(key string) bool {
	website, rest, _ := strings.Cut(key, "/")
	c := rec.Conversation
	return rec.Website == website && (c.WebsiteID == "" || c.WebsiteID == website) && rest == c.path()
}

// mend sets right what a stored record may hold and nothing here writes: times of what has happened
// that lie in the future, waits without an end, deadlines that are missing.
func (rec *record) mend() {
	if !rec.env.stored {
		return
	}
	now := rec.env.now
	if rec.Claim.Until.After(now.Add(2 * claims.TTL)) {
		rec.Claim.Release()
	}
	rec.Touched = times.Happened(rec.Touched, now)
	rec.standing.mend(rec.env.cfg, now)
	rec.effects.mend(now)
	for _, s := range rec.Sessions {
		s.Mend(now)
	}
	rec.Hooks = slices.DeleteFunc(rec.Hooks, func(k crisplog.Hook) bool { return rec.Sessions.ByID(k.Crisp) == nil }) // nobody would look
	rec.Hooks.Mend(now)
	for i := range rec.Replies {
		r := &rec.Replies[i]
		if most := now.Add(max(rec.env.cfg.Timeouts.Reply, claims.TTL)); r.Until.After(most) {
			r.Until = most
		}
	}
	for _, m := range rec.UserMessages {
		m.mend(rec.env.cfg, now)
		if m.Status == messagePosting && !rec.ToCrisp.has(func(e *effect) bool { return e.Incoming == m.ID }) {
			m.Status, m.Epoch = messageTurn, rec.Epoch // nothing would ever pass it on
		}
	}
}

// A record is stored in a short form: stores keep very many, and write each several times for a message.

// written returns the record in the form that is stored: without what complete can tell from the rest.
func (rec *record) written() *record {
	w := *rec
	if w.Touched.Equal(w.Since) {
		w.Touched = time.Time{}
	}
	w.First = rec.Epoch - rec.First
	for _, ho := range []**handover{&w.Handover, &w.FollowUp} {
		if *ho == nil {
			continue
		}
		short := **ho
		if short.Epoch == rec.Epoch {
			short.Epoch = 0
		}
		if short.Claimed.Equal(short.FirstReply) {
			short.Claimed = time.Time{}
		}
		if short.LastWord.Equal(short.Opened) {
			short.LastWord = time.Time{}
		}
		if *ho == rec.Handover && rec.withAgents() && short.Opened.Equal(rec.Since) {
			short.Opened = time.Time{}
		}
		short.inSession(rec.Sessions)
		*ho = &short
	}
	return &w
}

// complete puts in what written left out. It reports false if that cannot be told.
func (rec *record) complete() bool {
	if rec.Touched.IsZero() {
		rec.Touched = rec.Since
	}
	rec.First = rec.Epoch - rec.First
	for _, ho := range []*handover{rec.Handover, rec.FollowUp} {
		if ho == nil {
			continue
		}
		if ho.Epoch == 0 {
			ho.Epoch = rec.Epoch
		}
		if ho.Claimed.IsZero() {
			ho.Claimed = ho.FirstReply
		}
		if ho == rec.Handover && rec.withAgents() && ho.Opened.IsZero() {
			ho.Opened = rec.Since
		}
		if ho.LastWord.IsZero() {
			ho.LastWord = ho.Opened
		}
		ho.Timeouts.complete()
		if !ho.fromSession(rec.Sessions) {
			return false
		}
	}
	return true
}
