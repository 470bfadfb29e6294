package handover

import (
	"cmp"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// standing says whose the conversation is, and by which handover.
type standing struct {
	State State     `json:"state"`
	Epoch int64     `json:"epoch"`          // raised at each change of owner
	First int64     `json:"first,omitzero"` // the epoch that the record began with; written as how much that is below Epoch
	Since time.Time `json:"since"`          // of the state

	Handover *handover `json:"handover,omitempty"`  // the handover that runs, or the last one
	FollowUp *handover `json:"follow_up,omitempty"` // left with the agents, answers go by email
	Offer    *offer    `json:"offer,omitempty"`     // nobody was there; choices are shown
	Mute     *mute     `json:"mute,omitempty"`      // while muted
}

// human reports whether a handover runs: the bot is silent because a human was asked for.
func (s *standing) human() bool {
	return s.State == StateOpening || s.State == StateWaiting || s.State == StateActive
}

// withAgents reports whether a handover runs whose Crisp conversation is open.
func (s *standing) withAgents() bool { return s.State == StateWaiting || s.State == StateActive }

// handoverOf returns the handover or follow-up with this id, or nil.
func (s *standing) handoverOf(id string) *handover {
	for _, ho := range []*handover{s.Handover, s.FollowUp} {
		if ho != nil && ho.ID == id {
			return ho
		}
	}
	return nil
}

// runs reports whether the handover with this id is the one that runs.
func (s *standing) runs(id string) bool { return s.human() && s.Handover.ID == id }

// runsIn reports whether a handover runs in a Crisp session.
func (s *standing) runsIn(crisp string) bool { return s.human() && s.Handover.CrispID == crisp }

// followsUpIn reports whether the follow-up is in a Crisp session.
func (s *standing) followsUpIn(crisp string) bool {
	return s.FollowUp != nil && s.FollowUp.CrispID == crisp
}

// running returns the handover or follow-up that runs, or nil.
func (s *standing) running() *handover {
	if s.human() {
		return s.Handover
	}
	return s.FollowUp
}

// holds reports whether the conversation has the owner that it had when the turn was given. The
// turn of a conversation that was not known yet has no epoch: it holds until the first change.
func (s *standing) holds(t Turn) bool {
	return t.Epoch == s.Epoch || t.Epoch == 0 && s.Epoch == s.First
}

// request is the newest request. An offer or a follow-up is never older than the last handover,
// since a handover ends both.
func (s *standing) request() *Request {
	switch {
	case s.Offer != nil:
		return &s.Offer.Request
	case s.FollowUp != nil:
		return &s.FollowUp.Request
	case s.Handover != nil:
		return &s.Handover.Request
	}
	return nil
}

// relays reports whether an effect brings the agents of the handover that runs what the user says.
func (s *standing) relays(e *effect) bool {
	return s.withAgents() &&
		(e.Kind == kindPost || e.Kind == kindAnswer) && e.HandoverID == s.Handover.ID
}

// lastTry is when an effect is tried once more before Timeouts.Relay has passed and the handover ends; zero if it ends
// no handover, or was never tried.
func (s *standing) lastTry(e *effect) time.Time {
	if !s.relays(e) || e.Since.IsZero() || s.Handover.Timeouts.Relay <= 0 {
		return time.Time{}
	}
	relay := s.Handover.Timeouts.Relay
	return e.Since.Add(relay - min(callTimeout, relay/4).Truncate(time.Second)) // Run looks once a second
}

// fault says what does not hold together; "" for nothing.
func (s *standing) fault() string {
	switch {
	case s.Epoch < 0 || s.Epoch > maxNumber || s.First < 0:
		return "its epochs are out of range"
	case !slices.Contains([]State{StateBot, StateMuted, StateOpening, StateWaiting, StateActive}, s.State):
		return "its state is none that is known"
	case s.human() && s.Handover == nil:
		return "a handover runs, and it is missing"
	case s.Handover != nil && s.Handover.ID == "" || s.FollowUp != nil && s.FollowUp.ID == "":
		return "a handover has no id"
	}
	return ""
}

// mend sets times and deadlines right.
func (s *standing) mend(cfg *Config, now time.Time) {
	s.Since = times.Happened(s.Since, now)
	s.Handover.mend(cfg, now)
	s.FollowUp.mend(cfg, now)
	if s.human() && s.State != StateOpening {
		s.Handover.Opened = times.Happened(s.Handover.Opened, now)
	}
	if s.State == StateActive {
		s.Handover.LastWord = times.Happened(s.Handover.LastWord, now)
	}
}

// handover is one handover, from its asking to its end. A follow-up is one without a mute.
type handover struct {
	ID      string  `json:"id"`
	CrispID string  `json:"crisp_id,omitempty"` // written if none of the Sessions has it
	Session int     `json:"session,omitzero"`   // which of the Sessions has it, from 1: only while it is written and read
	Request Request `json:"request,omitzero"`
	// Timeouts are the effective ones, so that a deadline does not move under a running handover.
	Timeouts keptTimeouts `json:"timeouts,omitzero"`
	Opening  int64        `json:"opening,omitzero"` // fingerprint of our opening message; written if its session does not begin with that
	Epoch    int64        `json:"epoch,omitzero"`   // of the conversation, when it began; written if that is not its Epoch

	Asked      time.Time `json:"asked,omitzero"`
	Paced      time.Time `json:"paced,omitzero"`   // the opening waits until then for our own pace
	Opened     time.Time `json:"opened,omitzero"`  // written if the state is not of that time
	Claimed    time.Time `json:"claimed,omitzero"` // written if that was not by FirstReply
	FirstReply time.Time `json:"first_reply,omitzero"`
	LastWord   time.Time `json:"last_word,omitzero"`  // the agent's last word, or the user's first after it; written if that is not Opened
	Unanswered bool      `json:"unanswered,omitzero"` // it was the user's
	Reminded   time.Time `json:"reminded,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	Agents     agents    `json:"agents,omitempty"` // written if they are not all among the authors in its session
	By         []int     `json:"by,omitempty"`     // which of the authors they are, from 1: only while it is written and read
	Reason     EndReason `json:"reason,omitzero"`
	Unsent     []string  `json:"unsent,omitempty"`      // Incoming ids that Crisp never got
	OtherBot   bool      `json:"other_bot,omitzero"`    // it wrote, and the user was shown the way out
	AskedIdle  time.Time `json:"asked_idle,omitzero"`   // the user was asked whether they are there
	From       int64     `json:"from,omitzero"`         // Crisp's time of the message that took over, in ms
	LeaveTitle string    `json:"leave_title,omitempty"` // of the way out that the user was shown
	ByEmail    bool      `json:"by_email,omitzero"`     // a follow-up: the agents answer by email
	Trace      string    `json:"trace,omitempty"`       // the trace context of the user's newest message in it, or of the asking
}

// mute is a mute by the host, with nobody asked for.
type mute struct {
	ID string `json:"id"`
	// Turn is the epoch of the turn that muted: the same turn may still ask for a human.
	Turn int64 `json:"turn"`
}

// coolsDown reports whether nobody came so recently, within wait, that asking again is of no use.
func (ho *handover) coolsDown(wait time.Duration, now time.Time) bool {
	return ho != nil && ho.Reason == EndClaimTimeout && wait > 0 && ho.Ended.Add(wait).After(now)
}

// mend sets a handover's times and deadlines right.
func (ho *handover) mend(cfg *Config, now time.Time) {
	if ho == nil {
		return
	}
	ho.Asked = times.Happened(ho.Asked, now)
	for _, t := range []*time.Time{&ho.Opened, &ho.Claimed, &ho.FirstReply, &ho.LastWord, &ho.Reminded, &ho.Ended, &ho.AskedIdle} {
		*t = times.Past(*t, now)
	}
	standard := cfg.Timeouts
	from := standard.fields()
	for i, f := range ho.Timeouts.fields() {
		off := f.optional && *f.value == -1
		if !off && (*f.value <= 0 || times.SpanFault(*f.value) != "") {
			*f.value = *from[i].value
		}
	}
}

// inSession leaves out what the handover's session says of it: its id, the opening message, if the session was made with that, and
// its agents, who wrote there.
func (ho *handover) inSession(all crisplog.Sessions) {
	i := slices.IndexFunc(all, func(s *crisplog.Session) bool { return s.ID == ho.CrispID })
	if i < 0 || ho.Opening == 0 {
		return
	}
	s := all[i]
	ho.CrispID, ho.Session = "", i+1
	if ho.Opening == s.Log.First {
		ho.Opening = 0
	}
	by := make([]int, len(ho.Agents))
	for n, a := range ho.Agents {
		if by[n] = slices.Index(s.Log.Authors, crisplog.Author(a)) + 1; by[n] == 0 {
			return
		}
	}
	ho.Agents, ho.By = nil, by
}

// fromSession is the reverse of inSession. It reports false if the session does not say it.
func (ho *handover) fromSession(all crisplog.Sessions) bool {
	n, by := ho.Session, ho.By
	ho.Session, ho.By = 0, nil
	if n == 0 {
		return len(by) == 0
	}
	if n < 0 || n > len(all) || all[n-1] == nil {
		return false
	}
	s := all[n-1]
	ho.CrispID, ho.Opening = s.ID, cmp.Or(ho.Opening, s.Log.First)
	for _, i := range by {
		if i < 1 || i > len(s.Log.Authors) {
			return false
		}
		ho.Agents = append(ho.Agents, Agent(s.Log.Authors[i-1]))
	}
	return true
}

// beganLater reports whether a message opened, or took over, a handover after the one that has ended.
func (rec *record) beganLater(end *effect, m *crisplog.Message) bool {
	began := func(opening, from int64) bool { return m.Fingerprint == opening || from != 0 && m.Timestamp >= from }
	for _, e := range rec.ToUser {
		if e.Kind == kindOnEnd && e.Crisp == end.Crisp && e.N > end.N && began(e.FP, e.At) {
			return true
		}
	}
	ho := rec.Handover
	return ho != nil && ho.ID != end.HandoverID && ho.CrispID == end.Crisp && began(ho.Opening, ho.From)
}
