package handover

import (
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
)

// What a store returns is not trusted: the library or another program may have had a fault, a disk
// may have lost bytes, a clock may have been wrong. fault refuses a record that the work could not
// rely on; mend sets right what has one right value.

// fault says what does not hold together in a record that was read; "" for none. The work on a record
// relies on all of this.
func (rec *record) fault(key string) string {
	switch {
	case slices.Contains(rec.Sessions, nil):
		return "a Crisp session is null"
	case slices.Contains(slices.Concat([]*effect(rec.ToUser), rec.ToCrisp, rec.Away), nil):
		return "an effect is null"
	case !validID(rec.Conversation.ID):
		return "it has no conversation"
	case key != "" && !rec.belongs(key):
		return "it is of another conversation or website than its key"
	case rec.Serial < 0 || rec.Serial > maxNumber || rec.Epoch < 0 || rec.Epoch > maxNumber || rec.First < 0:
		return "its counters are out of range"
	case !slices.Contains([]State{StateBot, StateMuted, StateOpening, StateWaiting, StateActive}, rec.State):
		return "its state is none that is known"
	case rec.human() && rec.Handover == nil:
		return "a handover runs, and it is missing"
	case (rec.State == StateWaiting || rec.State == StateActive) && rec.Sessions.byID(rec.Handover.CrispID) == nil:
		return "a handover runs in a Crisp session that is missing"
	}
	for _, ho := range []*handover{rec.Handover, rec.FollowUp} {
		if ho != nil && ho.ID == "" {
			return "a handover has no id"
		}
	}
	for _, m := range rec.UserMessages {
		if fault := m.fault(); fault != "" {
			return fault
		}
	}
	for i, s := range rec.Sessions {
		if fault := s.fault(rec.Sessions[:i]); fault != "" {
			return fault
		}
	}
	for i, e := range rec.ToCrisp {
		if e.Crisp == "" && e.Kind.known() && !rec.ToCrisp[:i+1].has(func(x *effect) bool { return x.Kind == kindCreate && x.HandoverID == e.HandoverID }) {
			return "an effect is about no Crisp session"
		}
	}
	for i := range rec.Hooks {
		if n := rec.Hooks[i].N; n < 1 || n > rec.Serial { // it would be read for, and never taken in
			return "a hook has a number that was never given"
		}
	}
	for _, q := range [][]*effect{rec.ToUser, rec.ToCrisp, rec.Away} {
		for _, e := range q {
			if fault := e.fault(rec.Serial); fault != "" {
				return fault
			}
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

// fault says what a message of the user lacks; "" for nothing.
func (m *userMessage) fault() string {
	switch {
	case m == nil:
		return "a message of the user is null"
	case m.ID == "" && !m.settled():
		return "a message of the user has no id"
	case !slices.Contains([]messageStatus{messageWaiting, messageTurn, messageAnswered, messagePosting, messagePosted, messageKept, messageTaken, messageRefused}, m.Status):
		return "the state of a user's message is none that is known"
	case m.unfinished() && m.Incoming == nil:
		return "a message of the user has lost its words"
	}
	return ""
}

// unfinished reports whether the words of a message are still needed.
func (m *userMessage) unfinished() bool {
	return m.Status == messageWaiting || m.Status == messageTurn || m.Status == messageKept || m.Status == messagePosting
}

// fault says what a session lacks; "" for nothing. others are the sessions before it.
func (s *crispSession) fault(others sessions) string {
	switch {
	case !crispapi.ValidSessionID(s.ID):
		return "a Crisp session has no id"
	case others.byID(s.ID) != nil:
		return "a Crisp session is there twice"
	case slices.Contains(s.Log.Entries, nil):
		return "an entry of the log is null"
	}
	return ""
}

// fault says what an effect lacks that its kind needs; "" for nothing. serial is the last number given.
func (e *effect) fault(serial int64) string {
	switch {
	case e.Kind == "":
		return "an effect has no kind"
	case e.N < 1 || e.N > serial:
		return "an effect has a number that was never given"
	case e.Part < 0 || e.Part > maxPart || e.Attempts < 0:
		return "an effect counts out of range"
	case (e.Kind == kindDeliver || e.Kind == kindRevise) && (e.Message == nil || e.Message.ID == ""):
		return "a delivery has no message"
	case e.Kind == kindOnEnd && e.Summary == nil:
		return "an end has no summary"
	case e.Kind == kindEnd && endTrigger(e.Reason) == "":
		return "an end has no reason"
	case (e.Kind == kindPost || e.Kind == kindGreet || e.Kind == kindNote) && (e.FP < 1 || e.FP > maxNumber):
		return "a message of ours has no number"
	case (e.Kind == kindPost || e.Kind == kindAnswer) && (e.Incoming == "" || len(e.Content) == 0):
		return "a post has no content"
	}
	return ""
}

// farAhead is longer than any wait for an attempt: what is to be done later than that is to be done now.
const farAhead = 48 * time.Hour

// mend sets right what a stored record may hold and nothing here writes: times of what has happened
// that lie in the future, waits without an end, deadlines that are missing.
func (rec *record) mend() {
	if !rec.env.stored {
		return
	}
	now := rec.env.now
	if rec.Claim.Until.After(now.Add(2 * claimTTL)) {
		rec.Claim.release()
	}
	rec.Since, rec.Touched = happened(rec.Since, now), happened(rec.Touched, now)
	for _, ho := range []*handover{rec.Handover, rec.FollowUp} {
		ho.mend(rec.env.cfg, now)
	}
	if rec.human() && rec.State != StateOpening {
		rec.Handover.Opened = happened(rec.Handover.Opened, now)
	}
	if rec.State == StateActive {
		rec.Handover.LastWord = happened(rec.Handover.LastWord, now)
	}
	for _, s := range rec.Sessions {
		s.mend(now)
	}
	rec.Hooks = slices.DeleteFunc(rec.Hooks, func(k hook) bool { return rec.Sessions.byID(k.Crisp) == nil }) // nobody would look
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		k.Got, k.Missed, k.Next = past(k.Got, now), past(k.Missed, now), soon(k.Next, now)
		k.Tries = max(k.Tries, 0)
	}
	for _, q := range [][]*effect{rec.ToUser, rec.ToCrisp, rec.Away} {
		for _, e := range q {
			e.Since, e.Next = past(e.Since, now), soon(e.Next, now)
		}
	}
	for i := range rec.Replies {
		r := &rec.Replies[i]
		if most := now.Add(max(rec.env.cfg.Timeouts.Reply, claimTTL)); r.Until.After(most) {
			r.Until = most
		}
	}
	for _, m := range rec.UserMessages {
		m.At, m.Since, m.Next, m.Attempts = past(m.At, now), past(m.Since, now), soon(m.Next, now), max(m.Attempts, 0)
		if m.Given.After(now.Add(rec.env.cfg.Timeouts.hold())) {
			m.Given = time.Time{}
		}
		if m.Status == messageWaiting && !m.Managed {
			m.Managed = true
		}
		if m.Waits.After(now.Add(2 * claimTTL)) {
			m.Waits = time.Time{}
		}
		if m.Status == messagePosting && !rec.ToCrisp.has(func(e *effect) bool { return e.Incoming == m.ID }) {
			m.Status, m.Epoch = messageTurn, rec.Epoch // nothing would ever pass it on
		}
	}
}

// mend sets a handover's times and deadlines right.
func (ho *handover) mend(cfg *Config, now time.Time) {
	if ho == nil {
		return
	}
	ho.Asked = happened(ho.Asked, now)
	for _, t := range []*time.Time{&ho.Opened, &ho.Claimed, &ho.FirstReply, &ho.LastWord, &ho.Reminded, &ho.Ended, &ho.AskedIdle} {
		*t = past(*t, now)
	}
	standard := cfg.Timeouts
	from := standard.fields()
	for i, f := range ho.Timeouts.fields() {
		off := f.optional && *f.value == -1
		if !off && (*f.value <= 0 || spanFault(*f.value) != "") {
			*f.value = *from[i].value
		}
	}
}

// mend sets a session's times right, those of Crisp's clock as well.
func (s *crispSession) mend(now time.Time) {
	for _, t := range []*time.Time{&s.Ended, &s.State.Doubt, &s.State.Missing, &s.Reads.Good, &s.Reads.Failed} {
		*t = past(*t, now)
	}
	s.Reads.Retry, s.Reads.Fails = soon(s.Reads.Retry, now), min(max(s.Reads.Fails, 0), maxPart)
	l := &s.Log
	if ahead := time.Duration(l.Ahead) * time.Millisecond; l.Ahead > maxAhead.Milliseconds() || ahead < -maxAhead {
		l.Ahead, l.Sampled = 0, false
	}
	newest := now.Add(maxAhead + unknownSlack).UnixMilli()
	for _, at := range []*int64{&l.Watermark, &l.Newest, &l.Shown.At, &s.Bounds.At, &s.Bounds.From, &s.State.Since, &s.State.BlockAt, &s.State.Updated, &s.Listed} {
		if *at < 0 || *at > newest {
			*at = l.sane(now)
		}
	}
}

// sane is Crisp's time, for what has lost its own.
func (l *crispLog) sane(now time.Time) int64 { return now.UnixMilli() + l.Ahead }

// past is a time that cannot be later than now.
func past(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// happened is past for a time that is always set.
func happened(t, now time.Time) time.Time {
	if t.Unix() <= 0 {
		return now
	}
	return past(t, now)
}

// soon is a time to wait for, or none for one that is too far ahead.
func soon(t, now time.Time) time.Time {
	if t.After(now.Add(farAhead)) {
		return time.Time{}
	}
	return t
}
