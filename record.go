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
)

// record is all that is known of one conversation: what Record.Data holds. It changes only in
// engine.update, by functions that do no I/O.
type record struct {
	V            int          `json:"v"`
	Conversation Conversation `json:"conversation"`
	Website      string       `json:"website"` // that it is handed to, whatever the configuration says later
	Claim        claim        `json:"claim,omitzero"`
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

	Sessions     sessions     `json:"sessions,omitempty"`      // the newest last
	Pickers      pickers      `json:"pickers,omitempty"`       // agents' questions that may be answered
	UserMessages userMessages `json:"user_messages,omitempty"` // the user's messages, the newest last
	Hooks        hookQueue    `json:"hooks,omitempty"`         // hooks that are not absorbed yet
	ToUser       queue        `json:"to_user,omitempty"`       // from Crisp's log to the user
	ToCrisp      queue        `json:"to_crisp,omitempty"`      // from the user to Crisp
	Away         []*effect    `json:"away,omitempty"`          // deliveries kept for the user's next sign
	Replies      replies      `json:"replies,omitempty"`       // bot messages under way

	// Unknown keeps the members that a newer version of the library wrote, in a rolling upgrade.
	// Such members are added here, at the top.
	Unknown jsontext.Value `json:",embed,unknown"`

	env *env // of the update that is running
}

// env is what a change of the record may use besides the record.
type env struct {
	cfg        *Config
	now        time.Time
	stored     bool       // the record exists
	version    int64      // of the record
	record     Record     // as it was saved
	before     awaited    // what others may wait for, as the record was
	attending  direction  // in which the work goes on without a nudge
	stepping   bool       // a step was planned, and is about to begin
	activity   []Activity // told to the observer when the change is saved
	returned   []string   // Incoming ids that an end gives back to the bot
	trustHooks bool       // ablation.log
	speaking   bool       // the bot speaks in this process, where no agent can interrupt it
}

// handover is one handover, from its asking to its end. A follow-up is one without a mute.
type handover struct {
	ID      string  `json:"id"`
	CrispID string  `json:"crisp_id,omitempty"`
	Request Request `json:"request"`
	// Timeouts are the effective ones, so that a deadline does not move under a running handover.
	Timeouts Timeouts `json:"timeouts"`
	Opening  int64    `json:"opening,omitzero"` // fingerprint of our opening message
	Epoch    int64    `json:"epoch,omitzero"`   // of the conversation, when it began

	Asked      time.Time `json:"asked,omitzero"`
	Paced      time.Time `json:"paced,omitzero"` // the opening waits until then for our own pace
	Opened     time.Time `json:"opened,omitzero"`
	Claimed    time.Time `json:"claimed,omitzero"`
	FirstReply time.Time `json:"first_reply,omitzero"`
	LastWord   time.Time `json:"last_word,omitzero"`   // the agent's last word, or the user's first after it
	Unanswered bool      `json:"unanswered,omitempty"` // it was the user's
	Reminded   time.Time `json:"reminded,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	Agents     agents    `json:"agents,omitempty"`
	Reason     EndReason `json:"reason,omitzero"`
	Unsent     []string  `json:"unsent,omitempty"`      // Incoming ids that Crisp never got
	OtherBot   bool      `json:"other_bot,omitzero"`    // it wrote, and the user was shown the way out
	AskedIdle  time.Time `json:"asked_idle,omitzero"`   // the user was asked whether they are there
	From       int64     `json:"from,omitzero"`         // Crisp's time of the message that took over, in ms
	LeaveTitle string    `json:"leave_title,omitempty"` // of the way out that the user was shown
	ByEmail    bool      `json:"by_email,omitzero"`     // a follow-up: the agents answer by email
}

// mute is a mute by the host, with nobody asked for.
type mute struct {
	ID string `json:"id"`
	// Turn is the epoch of the turn that muted: the same turn may still ask for a human.
	Turn int64 `json:"turn"`
}

// recordVersion is record.V. Readers refuse a later one: they would act on what they misread.
const recordVersion = 1

// recordJSON is how records are written: text that is not UTF-8 must not lose a conversation.
var recordJSON = json.JoinOptions(
	jsontext.AllowInvalidUTF8(true),
	jsontext.AllowDuplicateNames(true),
	jsonv1.FormatDurationAsNano(true),
	json.Deterministic(true),
)

var errUnreadable = errors.New("handover: the stored record cannot be read: was it written by another program?")

// errLaterVersion is for a record that this version must leave alone.
var errLaterVersion = errors.New("handover: the stored record was written by a later version: upgrade this process")

// decodeRecord reads a record; one that was never stored gives a conversation with its bot. What a
// store returns is not trusted: a record that does not hold together is refused.
func decodeRecord(r Record, key string, conv Conversation, now time.Time) (*record, error) {
	rec := new(record)
	if r.Version == 0 {
		rec.V, rec.Conversation, rec.State = recordVersion, conv, StateBot
		rec.Website, _, _ = strings.Cut(key, "/")
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

// human reports whether a handover runs: the bot is silent because a human was asked for.
func (rec *record) human() bool {
	return rec.State == StateOpening || rec.State == StateWaiting || rec.State == StateActive
}

// handoverOf returns the handover or follow-up with this id, or nil.
func (rec *record) handoverOf(id string) *handover {
	for _, s := range []*handover{rec.Handover, rec.FollowUp} {
		if s != nil && s.ID == id {
			return s
		}
	}
	return nil
}

// runs reports whether the handover with this id is the one that runs.
func (rec *record) runs(id string) bool { return rec.human() && rec.Handover.ID == id }

// newID returns a random id that no one can guess.
func newID() string { return rand.Text() }

// next numbers something within the conversation.
func (rec *record) next() int64 {
	rec.Serial++
	return rec.Serial
}

const (
	// claimTTL is how long a claim holds that its process does not renew: so late is the work of a
	// process that died taken over.
	claimTTL = 30 * time.Second
	// renewEvery is how often a process renews its claim while one step takes long.
	renewEvery = claimTTL / 3
)

// claim says which process works on a record. It keeps two processes from doing the same work at
// once; it does not say who may save: any process may, and the version of the record decides.
type claim struct {
	Holder string    `json:"holder,omitempty"` // a process; empty for none
	Until  time.Time `json:"until,omitzero"`   // by the store's clock
}

// heldByOther reports whether another process than this one is at work. A claim that ends later than
// any that is taken now was taken by a wrong clock, or is damaged: it counts for nothing.
func (c *claim) heldByOther(process string, now time.Time) bool {
	return c.Holder != "" && c.Holder != process && c.Until.After(now) && !c.Until.After(now.Add(2*claimTTL))
}

// take gives the claim to a process, or renews it.
func (c *claim) take(process string, now time.Time) {
	c.Holder, c.Until = process, now.Add(claimTTL)
}

func (c *claim) release() { *c = claim{} }

func (c *claim) free() bool { return c.Holder == "" }

// trim drops what can no longer matter: Crisp sessions whose late window has passed and that nothing
// waits for, the request of a handover as old, and what the parts trim themselves.
func (rec *record) trim() {
	rec.UserMessages.trim()
	last, current := rec.Sessions.last(), rec.current()
	rec.Sessions = slices.DeleteFunc(rec.Sessions, func(s *crispSession) bool {
		return s != last && s != current && !s.Ended.IsZero() && !rec.env.now.Before(s.Ended.Add(rec.env.cfg.Timeouts.Late)) &&
			!slices.ContainsFunc(rec.Hooks, func(k hook) bool { return k.Crisp == s.ID }) &&
			!slices.ContainsFunc(slices.Concat([]*effect(rec.ToUser), rec.ToCrisp, rec.Away), func(e *effect) bool { return e.Crisp == s.ID })
	})
	if rec.Handover != nil && !rec.human() && !rec.Handover.Ended.IsZero() && !rec.env.now.Before(rec.Handover.Ended.Add(rec.env.cfg.Timeouts.Late)) {
		rec.Handover.Request = Request{} // what is known of the user goes with the late window
	}
	for _, s := range rec.Sessions {
		s.Log.trim(rec.awaits)
	}
}

// awaits reports whether something that is to be done is about this fingerprint.
func (rec *record) awaits(fp int64) bool {
	about := func(e *effect) bool { return e.FP == fp }
	return rec.ToCrisp.has(about) || rec.ToUser.has(about) || slices.ContainsFunc(rec.Away, about)
}

// idle reports whether nothing is open.
func (rec *record) idle() bool {
	return rec.State == StateBot && rec.Offer == nil && rec.FollowUp == nil && len(rec.Hooks) == 0 &&
		len(rec.ToUser) == 0 && len(rec.ToCrisp) == 0 && len(rec.Replies) == 0 && rec.UserMessages.head() == nil
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
func (rec *record) expired() bool { return rec.idle() && !rec.env.now.Before(rec.keepUntil()) }
