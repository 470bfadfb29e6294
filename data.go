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
type data struct {
	V            int          `json:"v"`
	Conversation Conversation `json:"conversation"`
	State        State        `json:"state"`
	Epoch        int64        `json:"epoch"`          // raised at each change of owner
	First        int64        `json:"first,omitzero"` // the epoch that the record began with
	Since        time.Time    `json:"since"`          // of the state
	Touched      time.Time    `json:"touched"`
	Serial       int64        `json:"serial"` // numbers effects, texts and saves

	Stay     *stay  `json:"stay,omitempty"`     // the handover that runs, or the last one
	FollowUp *stay  `json:"followup,omitempty"` // left with the agents, answers go by email
	Offer    *offer `json:"offer,omitempty"`    // nobody was there; choices are shown
	Mute     *mute  `json:"mute,omitempty"`     // while muted

	Sessions []*crispSession `json:"sessions,omitempty"` // the newest last
	Pickers  []picker        `json:"pickers,omitempty"`  // agents' questions that may be answered
	Seen     []*seen         `json:"seen,omitempty"`     // the user's messages, the newest last
	Inbox    []hook          `json:"inbox,omitempty"`    // hooks that are not absorbed yet
	In       lane            `json:"in"`                 // from Crisp's log to the user
	Out      lane            `json:"out"`                // from the user to Crisp
	Away     []*effect       `json:"away,omitempty"`     // deliveries kept for the user's next sign
	Floors   []floor         `json:"floors,omitempty"`   // bot messages under way

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
type stay struct {
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
type seen struct {
	ID      string    `json:"id"`
	Hash    string    `json:"hash"`
	Outcome outcome   `json:"outcome"`
	Epoch   int64     `json:"epoch"`
	At      time.Time `json:"at"`
	// Incoming is kept until the message is answered or in Crisp.
	Incoming *Incoming `json:"incoming,omitempty"`
	// Left is true when the Receive that brought the message has given up waiting.
	Left  bool   `json:"left,omitzero"`
	Fault string `json:"fault,omitempty"` // why it cannot be passed on
}

// outcome is what became of a message of the user.
type outcome string

const (
	outcomeTurn     outcome = "turn"     // the bot is to answer it
	outcomeAnswered outcome = "answered" // a Reply or Start for it returned nil
	outcomePosting  outcome = "posting"  // on its way to Crisp
	outcomePosted   outcome = "posted"   // Crisp has it
	outcomeKept     outcome = "kept"     // muted: kept for a handover that may come
	outcomeTaken    outcome = "taken"    // an answer to a question of ours
	outcomeRefused  outcome = "refused"  // Crisp will never take it
)

// lane is one direction: the effects that wait, in order, and who is running them.
type lane struct {
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
	Echo    time.Time `json:"echo,omitzero"`
	Listed  int64     `json:"listed,omitzero"` // Crisp's updated_at when catch-up last saw it, in ms
	Ended   time.Time `json:"ended,omitzero"`  // when the last handover or follow-up in it ended, by our clock
	Table   []*entry  `json:"table,omitempty"`
	Authors []Agent   `json:"authors,omitempty"` // of the rows of Table
	Looked  time.Time `json:"looked,omitzero"`   // when the last good read began, by our clock
	Fails   int       `json:"fails,omitzero"`    // reads that failed in a row
	Retry   time.Time `json:"retry,omitzero"`    // no read before
	Missing time.Time `json:"missing,omitzero"`  // since when reads do not find it
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
type fate string

const (
	fateOurs     fate = "ours"     // we posted it
	fateShown    fate = "shown"    // given to the user
	fateWithheld fate = "withheld" // never shown: a note, an event, another bot, unknown, too old
	fateFailed   fate = "failed"   // could not be shown
	fateRemoved  fate = "removed"  // removed, perhaps before we saw it
)

// entry is one fingerprint of a Crisp session's table.
type entry struct {
	order
	Fate      fate     `json:"fate"`
	Type      string   `json:"type,omitempty"`
	Hash      string   `json:"hash,omitempty"`
	Was       []string `json:"was,omitempty"`        // hashes before edits: a stale read is no edit back
	Edited    int64    `json:"edited,omitzero"`      // Crisp's time of the last edit that a hook told of, in ms
	Author    int      `json:"author,omitzero"`      // its place in Authors, from 1
	ChannelID []string `json:"channel_id,omitempty"` // one for each part
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
func decodeData(r Record, conv Conversation, now time.Time) (*data, error) {
	d := new(data)
	if r.Version == 0 {
		d.V, d.Conversation, d.State = recordVersion, conv, StateBot
		// An epoch of an earlier, deleted record never fits again.
		d.Epoch, d.Since, d.Touched = now.UnixMilli(), now, now
		d.First = d.Epoch
		return d, nil
	}
	if err := json.Unmarshal(r.Data, d, recordJSON); err != nil {
		return nil, fmt.Errorf("%w %w", errUnreadable, shapeOf(err))
	}
	if d.V > recordVersion {
		return nil, errors.New("handover: the stored record was written by a later version: upgrade this process")
	}
	return d, nil
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
func (h *Handover) update(ctx context.Context, key string, conv Conversation, change func(*data) error) (*data, error) {
	return h.updateFrom(ctx, known{}, key, conv, change)
}

// known is what the caller of updateFrom has: the record, perhaps no longer the newest, or what an
// update returned, which nobody else looks at.
type known struct {
	record Record
	saved  *data
}

// storeTimeout bounds what is done in the store at a time: a connection may be dead without a word.
const storeTimeout = 20 * time.Second

// updateFrom is update for callers that know something.
func (h *Handover) updateFrom(ctx context.Context, k known, key string, conv Conversation, change func(*data) error) (*data, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for ; ; k = (known{}) {
		r, d, err := k.record, k.saved, error(nil)
		if r.Version == 0 {
			r, err = h.cfg.Store.Load(ctx, key)
		}
		if err != nil {
			return nil, fmt.Errorf("handover: load from the store: %w", err)
		}
		now := time.Now().Round(0) // as the store gives it back
		if d == nil || d.env.version != r.Version {
			d, err = decodeData(r, conv, now)
		}
		if err != nil {
			return nil, err
		}
		d.env = &env{cfg: h.cfg, now: now, stored: r.Version != 0, version: r.Version}
		if err := change(d); errors.Is(err, errKeep) {
			return d, nil
		} else if err != nil {
			return nil, err
		}
		saved, err := h.save(ctx, key, r, d)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if saved {
			h.changed(key, d)
		}
		return d, nil
	}
}

// save stores d in place of r, or deletes the record when nothing is left to do or to remember.
func (h *Handover) save(ctx context.Context, key string, r Record, d *data) (bool, error) {
	if d.expired() {
		if r.Version == 0 {
			return false, nil
		}
		if err := h.cfg.Store.Delete(ctx, key, r.Version); err != nil {
			return false, fmt.Errorf("handover: delete from the store: %w", err)
		}
		return true, nil
	}
	d.trim()
	d.next() // so that of two saves the later one can be told
	body, err := json.Marshal(d, recordJSON)
	if err != nil {
		return false, fmt.Errorf("handover: the record cannot be written: %w", shapeOf(err))
	}
	next := Record{Key: key, Version: r.Version, Due: d.due(), Data: body}
	website := h.website(d.Conversation)
	for _, s := range d.Sessions {
		next.CrispIDs = append(next.CrispIDs, website+"/"+s.ID)
	}
	if d.env.version, err = h.cfg.Store.Save(ctx, next); err != nil {
		return false, fmt.Errorf("handover: save to the store: %w", err)
	}
	return true, nil
}

// load returns the record for reading.
func (h *Handover) load(ctx context.Context, key string, conv Conversation) (*data, error) {
	return h.update(ctx, key, conv, func(*data) error { return errKeep })
}

// human reports whether a handover runs: the bot is silent because a human was asked for.
func (d *data) human() bool {
	return d.State == StateOpening || d.State == StateWaiting || d.State == StateActive
}

// stayOf returns the handover or follow-up with this id, or nil.
func (d *data) stayOf(id string) *stay {
	for _, s := range []*stay{d.Stay, d.FollowUp} {
		if s != nil && s.ID == id {
			return s
		}
	}
	return nil
}

// runs reports whether the handover with this id does.
func (d *data) runs(id string) bool { return d.human() && d.Stay.ID == id }

// session returns the Crisp session with this id, or nil.
func (d *data) session(id string) *crispSession {
	for _, s := range d.Sessions {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// last returns the newest Crisp session, or nil.
func (d *data) last() *crispSession {
	if len(d.Sessions) == 0 {
		return nil
	}
	return d.Sessions[len(d.Sessions)-1]
}

// find returns what became of the user's message with this id, or nil.
func (d *data) find(id string) *seen {
	for _, s := range d.Seen {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// entry returns the table's row of a fingerprint, or nil.
func (s *crispSession) entry(fp int64) *entry {
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
func (d *data) next() int64 {
	d.Serial++
	return d.Serial
}
