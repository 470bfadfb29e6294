package handover

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// data is all that is known of one conversation: what Record.Data holds. It changes only in
// update, by functions that do no I/O.
type record struct {
	V            int          `json:"v"`
	Conversation Conversation `json:"conversation"`
	State        State        `json:"state"`
	Epoch        int64        `json:"epoch"`          // raised at each change of owner
	First        int64        `json:"first,omitzero"` // the epoch that the record began with
	Since        time.Time    `json:"since"`          // of the state
	Touched      time.Time    `json:"touched"`
	Serial       int64        `json:"serial"` // numbers effects, texts and saves

	Handover *handover `json:"handover,omitempty"` // the handover that runs, or the last one
	FollowUp *handover `json:"followup,omitempty"` // left with the agents, answers go by email
	Offer    *offer    `json:"offer,omitempty"`    // nobody was there; choices are shown
	Mute     *mute     `json:"mute,omitempty"`     // while muted

	Sessions     []*crispSession `json:"sessions,omitempty"`      // the newest last
	Pickers      []picker        `json:"pickers,omitempty"`       // agents' questions that may be answered
	UserMessages []*userMessage  `json:"user_messages,omitempty"` // the user's messages, the newest last
	Hooks        []hook          `json:"hooks,omitempty"`         // hooks that are not absorbed yet
	ToUser       queue           `json:"to_user"`                 // from Crisp's log to the user
	ToCrisp      queue           `json:"to_crisp"`                // from the user to Crisp
	Away         []*effect       `json:"away,omitempty"`          // deliveries kept for the user's next sign
	Replies      []reply         `json:"replies,omitempty"`       // bot messages under way

	// Unknown keeps the members that a newer version of the library wrote, in a rolling upgrade.
	// Such members are added here, at the top.
	Unknown jsontext.Value `json:",embed,unknown"`

	env *env // of the update that is running
}

// env is what a change to data may look at besides data.
type env struct {
	cfg      *Config
	now      time.Time
	stored   bool       // the record exists
	version  int64      // of the record
	activity []Activity // told to the observer when the change is saved
	returned []string   // Incoming ids that an end gives back to the bot
}

// stay is one handover: a stay in opening, waiting or active. A follow-up is one without a mute.
type handover struct {
	ID      string  `json:"id"`
	CrispID string  `json:"crisp_id,omitempty"`
	Request Request `json:"request"`
	// Timeouts are the effective ones, so that a deadline does not move under a running handover.
	Timeouts Timeouts `json:"timeouts"`
	Opening  int64    `json:"opening,omitzero"` // fingerprint of our opening message
	Epoch    int64    `json:"epoch,omitzero"`   // of the conversation, when it began

	Asked      time.Time `json:"asked,omitzero"`
	Opened     time.Time `json:"opened,omitzero"`
	Claimed    time.Time `json:"claimed,omitzero"`
	FirstReply time.Time `json:"first_reply,omitzero"`
	LastWord   time.Time `json:"last_word,omitzero"`   // the agent's last word, or the user's first after it
	Unanswered bool      `json:"unanswered,omitempty"` // it was the user's
	Reminded   time.Time `json:"reminded,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	Agents     []Agent   `json:"agents,omitempty"`
	Reason     EndReason `json:"reason,omitzero"`
	Unsent     []string  `json:"unsent,omitempty"`      // Incoming ids that Crisp never got
	OtherBot   bool      `json:"other_bot,omitzero"`    // it wrote, and the user was shown the way out
	AskedIdle  time.Time `json:"asked_idle,omitzero"`   // the user was asked whether they are there
	From       int64     `json:"from,omitzero"`         // Crisp's time of the message that took over, in ms
	LeaveTitle string    `json:"leave_title,omitempty"` // of the way out that the user was shown
	ByEmail    bool      `json:"by_email,omitzero"`     // a follow-up: the agents answer by email
}

// offer is what is open while the user is asked how to go on without an agent.
type offer struct {
	ID      string    `json:"id"`
	Request Request   `json:"request"`
	Asking  bool      `json:"asking,omitzero"` // for an email address
	Expires time.Time `json:"expires"`
}

// mute is a mute by the host, with nobody asked for.
type mute struct {
	ID string `json:"id"`
	// Turn is the epoch of the turn that muted: the same turn may still ask for a human.
	Turn int64 `json:"turn"`
}

// seen is what became of one message of the user.
type userMessage struct {
	ID     string        `json:"id"`
	Hash   string        `json:"hash"`
	Status messageStatus `json:"status"`
	Epoch  int64         `json:"epoch"`
	At     time.Time     `json:"at"`
	// Incoming is kept until the message is answered or in Crisp.
	Incoming *Incoming `json:"incoming,omitempty"`
	// Left is true when the Receive that brought the message has given up waiting.
	Left  bool   `json:"left,omitzero"`
	Fault string `json:"fault,omitempty"` // why it cannot be passed on
}

// messageStatus is what became of a message of the user.
type messageStatus string

const (
	messageTurn     messageStatus = "turn"     // the bot is to answer it
	messageAnswered messageStatus = "answered" // a Reply or Start for it returned nil
	messagePosting  messageStatus = "posting"  // on its way to Crisp
	messagePosted   messageStatus = "posted"   // Crisp has it
	messageKept     messageStatus = "kept"     // muted: kept for a handover that may come
	messageTaken    messageStatus = "taken"    // an answer to a question of ours
	messageRefused  messageStatus = "refused"  // Crisp will never take it
)

// lane is one direction: the effects that wait, in order, and who is running them.
type queue struct {
	Lease lease     `json:"lease,omitzero"`
	Queue []*effect `json:"queue,omitempty"`
}

// crispSession is one conversation in Crisp that leads to this record.
type crispSession struct {
	ID string `json:"id"`
	// Watermark is Crisp's time up to which the log was read, in ms.
	Watermark int64 `json:"watermark,omitzero"`
	// Adopted hides what was written before our opening message, at From once that was seen.
	Adopted bool  `json:"adopted,omitzero"`
	From    int64 `json:"from,omitzero"` // Crisp's time, in ms
	// First is the fingerprint of the first message, in a session that we made.
	First int64 `json:"first,omitzero"`
	// Mark is the largest Crisp time seen at our last opening or end, in ms: state changes and
	// takeovers count when newer.
	Mark int64 `json:"mark,omitzero"`
	// Opening is set until Mark is that of our opening message.
	Opening int64 `json:"opening,omitzero"`
	Newest  int64 `json:"newest,omitzero"` // Crisp's largest time seen, in ms
	Shown   order `json:"shown,omitzero"`  // the newest message given to the user
	Email   bool  `json:"email,omitzero"`  // Crisp has the user's address
	Gone    bool  `json:"gone,omitzero"`   // removed in Crisp
	Closed  bool  `json:"closed,omitzero"` // known to be resolved in Crisp: to find it so is no news
	// Echo is set while the next resolved state that a hook tells of may be our own doing.
	Echo    time.Time   `json:"echo,omitzero"`
	Listed  int64       `json:"listed,omitzero"` // Crisp's updated_at when catch-up last saw it, in ms
	Ended   time.Time   `json:"ended,omitzero"`  // when the last handover or follow-up in it ended, by our clock
	Table   []*logEntry `json:"table,omitempty"`
	Authors []Agent     `json:"authors,omitempty"` // of the rows of Table
	Looked  time.Time   `json:"looked,omitzero"`   // when the last good read began, by our clock
	Fails   int         `json:"fails,omitzero"`    // reads that failed in a row
	Retry   time.Time   `json:"retry,omitzero"`    // no read before
	Missing time.Time   `json:"missing,omitzero"`  // since when reads do not find it
	// Resolved is set when a read alone says so, until a second one agrees.
	Resolved time.Time `json:"resolved,omitzero"`
	Updated  int64     `json:"updated,omitzero"` // Crisp's updated_at then, in ms
}

// order is a place in Crisp's log: messages are shown by timestamp, then fingerprint.
type order struct {
	At int64 `json:"at"`
	FP int64 `json:"fp"`
}

func (a order) before(b order) bool { return a.At < b.At || a.At == b.At && a.FP < b.FP }

// fate is what became of one message of Crisp's log.
type entryStatus string

const (
	entryOurs     entryStatus = "ours"     // we posted it
	entryShown    entryStatus = "shown"    // given to the user
	entryWithheld entryStatus = "withheld" // never shown: a note, an event, another bot, unknown, too old
	entryFailed   entryStatus = "failed"   // could not be shown
	entryRemoved  entryStatus = "removed"  // removed, perhaps before we saw it
)

// entry is one fingerprint of a Crisp session's table.
type logEntry struct {
	order
	Status    entryStatus `json:"status"`
	Type      string      `json:"type,omitempty"`
	Hash      string      `json:"hash,omitempty"`
	Was       []string    `json:"was,omitempty"`        // hashes before edits: a stale read is no edit back
	Edited    int64       `json:"edited,omitzero"`      // Crisp's time of the last edit that a hook told of, in ms
	Author    int         `json:"author,omitzero"`      // its place in Authors, from 1
	ChannelID []string    `json:"channel_id,omitempty"` // one for each part
}

// picker is an agent's question with choices.
type picker struct {
	Crisp   string         `json:"crisp"`
	FP      int64          `json:"fp"`
	Content jsontext.Value `json:"content"`
}

// recordVersion is data.V. Readers refuse a later one: they would act on what they misread.
const recordVersion = 1

// recordJSON is how records are written: text that is not UTF-8 must not lose a conversation.
var recordJSON = json.JoinOptions(
	jsontext.AllowInvalidUTF8(true),
	jsontext.AllowDuplicateNames(true),
	jsonv1.FormatDurationAsNano(true),
	json.Deterministic(true),
)

var errUnreadable = errors.New("handover: the stored record cannot be read: was it written by another program?")

// decodeData reads a record; one that was never stored gives a conversation with its bot.
func decodeRecord(r Record, conv Conversation, now time.Time) (*record, error) {
	rec := new(record)
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
		return nil, errors.New("handover: the stored record was written by a later version: upgrade this process")
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

// key names the conversation's record.
func (h *Handover) key(c Conversation) string {
	return h.website(c) + "/" + url.PathEscape(c.Source) + "/" + url.PathEscape(c.ID)
}

// errKeep returned by a change saves nothing; update then returns the record as it is.
var errKeep = errors.New("handover: nothing to save")

// update applies change to the record with this key until it is saved against no other writer. It
// returns what was saved. change does no I/O, and may be called several times.
func (h *Handover) update(ctx context.Context, key string, conv Conversation, change func(*record) error) (*record, error) {
	return h.updateFrom(ctx, known{}, key, conv, change)
}

// known is what the caller of updateFrom has: the record, perhaps no longer the newest, or what an
// update returned, which nobody else looks at.
type known struct {
	record Record
	saved  *record
}

// storeTimeout bounds what is done in the store at a time: a connection may be dead without a word.
const storeTimeout = 20 * time.Second

// updateFrom is update for callers that know something.
func (h *Handover) updateFrom(ctx context.Context, k known, key string, conv Conversation, change func(*record) error) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for ; ; k = (known{}) {
		r, rec, err := k.record, k.saved, error(nil)
		if r.Version == 0 {
			r, err = h.cfg.Store.Load(ctx, key)
		}
		if err != nil {
			return nil, fmt.Errorf("handover: load from the store: %w", err)
		}
		now := time.Now().Round(0) // as the store gives it back
		if rec == nil || rec.env.version != r.Version {
			rec, err = decodeRecord(r, conv, now)
		}
		if err != nil {
			return nil, err
		}
		rec.env = &env{cfg: h.cfg, now: now, stored: r.Version != 0, version: r.Version}
		if err := change(rec); errors.Is(err, errKeep) {
			return rec, nil
		} else if err != nil {
			return nil, err
		}
		saved, err := h.save(ctx, key, r, rec)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if saved {
			h.changed(key, rec)
		}
		return rec, nil
	}
}

// save stores d in place of r, or deletes the record when nothing is left to do or to remember.
func (h *Handover) save(ctx context.Context, key string, r Record, rec *record) (bool, error) {
	if rec.expired() {
		if r.Version == 0 {
			return false, nil
		}
		if err := h.cfg.Store.Delete(ctx, key, r.Version); err != nil {
			return false, fmt.Errorf("handover: delete from the store: %w", err)
		}
		return true, nil
	}
	rec.trim()
	rec.next() // so that of two saves the later one can be told
	body, err := json.Marshal(rec, recordJSON)
	if err != nil {
		return false, fmt.Errorf("handover: the record cannot be written: %w", shapeOf(err))
	}
	next := Record{Key: key, Version: r.Version, Due: rec.due(), Data: body}
	website := h.website(rec.Conversation)
	for _, s := range rec.Sessions {
		next.CrispIDs = append(next.CrispIDs, website+"/"+s.ID)
	}
	if rec.env.version, err = h.cfg.Store.Save(ctx, next); err != nil {
		return false, fmt.Errorf("handover: save to the store: %w", err)
	}
	return true, nil
}

// load returns the record for reading.
func (h *Handover) load(ctx context.Context, key string, conv Conversation) (*record, error) {
	return h.update(ctx, key, conv, func(*record) error { return errKeep })
}

// human reports whether a handover runs: the bot is silent because a human was asked for.
func (rec *record) human() bool {
	return rec.State == StateOpening || rec.State == StateWaiting || rec.State == StateActive
}

// stayOf returns the handover or follow-up with this id, or nil.
func (rec *record) handoverOf(id string) *handover {
	for _, s := range []*handover{rec.Handover, rec.FollowUp} {
		if s != nil && s.ID == id {
			return s
		}
	}
	return nil
}

// runs reports whether the handover with this id does.
func (rec *record) runs(id string) bool { return rec.human() && rec.Handover.ID == id }

// session returns the Crisp session with this id, or nil.
func (rec *record) session(id string) *crispSession {
	for _, s := range rec.Sessions {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// last returns the newest Crisp session, or nil.
func (rec *record) last() *crispSession {
	if len(rec.Sessions) == 0 {
		return nil
	}
	return rec.Sessions[len(rec.Sessions)-1]
}

// find returns what became of the user's message with this id, or nil.
func (rec *record) find(id string) *userMessage {
	for _, s := range rec.UserMessages {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// entry returns the table's row of a fingerprint, or nil.
func (s *crispSession) entry(fp int64) *logEntry {
	for _, e := range s.Table {
		if e.FP == fp {
			return e
		}
	}
	return nil
}

// newID returns a random id that no one can guess.
func newID() string { return rand.Text() }

// next numbers something within the conversation.
func (rec *record) next() int64 {
	rec.Serial++
	return rec.Serial
}
