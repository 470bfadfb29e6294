package handover

import "time"

// direction is one of the two in which a conversation is worked on, so that neither waits for the
// other.
type direction string

// The two directions.
const (
	toUser  direction = "to_user"  // Crisp's log to the user
	toCrisp direction = "to_crisp" // the user to Crisp
)

// step is the next thing to do outside the record: an effect, or a read of Crisp's log.
type step struct {
	effect *effect
	read   *logRead
}

func (rec *record) queue(dir direction) *queue {
	if dir == toUser {
		return &rec.ToUser
	}
	return &rec.ToCrisp
}

// absorb writes down what a step brought.
func (rec *record) absorb(dir direction, r result) {
	if r.read != nil {
		rec.take(r.read)
		return
	}
	rec.settle(rec.queue(dir), r)
}

// plan decides on the next step, and counts the attempt. changed is set when it altered the record.
func (rec *record) plan(dir direction, changed *bool) *step {
	now := rec.env.now
	*changed = rec.dropDeadReplies() || *changed
	if dir == toUser {
		if l := rec.planRead(changed); l != nil {
			return &step{read: l}
		}
		if rec.botSpeaks() {
			return nil // the bot is still speaking: what an agent wrote waits
		}
	}
	q := rec.queue(dir)
	for {
		e, _ := q.ready(now)
		if e == nil {
			return nil
		}
		if e.Kind == kindEnd {
			q.drop(func(x *effect) bool { return x == e })
			rec.ended(e)
			*changed = true
			continue
		}
		e.begin(now)
		return &step{effect: e}
	}
}

// planRead returns the read that hooks or deadlines want now, or nil. Hooks that are overdue are taken
// at their word, where no read may be made.
func (rec *record) planRead(changed *bool) *logRead {
	for {
		l, blind := rec.wantedRead(rec.env.now)
		if l == nil {
			break
		}
		if !blind {
			return l
		}
		rec.take(&reading{of: l, begun: rec.env.now, blind: true})
		*changed = true
	}
	return rec.deadlines(changed)
}

// begin counts an attempt.
func (e *effect) begin(now time.Time) {
	e.Running = true
	e.Attempts++
	if e.Since.IsZero() {
		e.Since = now
	}
}

// recover makes what a dead process was at ready again. An effect that is running in the direction
// which this process is about to work on is nobody's any more either: its result was lost.
func (rec *record) recover(process string, dir direction) {
	for _, d := range []direction{toUser, toCrisp} {
		if d != dir && rec.Claim.Holder == process {
			continue
		}
		for _, e := range *rec.queue(d) {
			if e.Running {
				e.Running, e.Unsure = false, e.Unsure || e.Kind == kindPost || e.Kind == kindGreet
			}
		}
	}
}

// working reports whether a step that was begun is not settled.
func (rec *record) working() bool {
	running := func(e *effect) bool { return e.Running }
	return rec.ToUser.has(running) || rec.ToCrisp.has(running)
}

// orphaned frees the steps that a process began which has lost its claim: they are to be begun again, by
// whoever has the claim now. Nobody knows how far they came.
func (rec *record) orphaned() {
	for _, q := range []queue{rec.ToUser, rec.ToCrisp} {
		for _, e := range q {
			if e.Running {
				e.Running, e.Unsure = false, e.Unsure || e.Kind == kindPost || e.Kind == kindGreet
			}
		}
	}
}

// wants reports whether there is something to begin now in one direction.
func (rec *record) wants(dir direction) bool {
	if dir == toUser {
		if l, _ := rec.wantedRead(rec.env.now); l != nil {
			return true
		}
		if rec.botSpeaks() {
			return false
		}
	}
	e, _ := rec.queue(dir).ready(rec.env.now)
	return e != nil && !e.Running
}

// dropDeadReplies drops the bot's messages that have lasted too long: their process is dead, or send
// ignores its context.
func (rec *record) dropDeadReplies() bool {
	return rec.Replies.drop(func(r reply) bool { return !r.Until.After(rec.env.now) })
}

// botSpeaks reports whether a message of the bot's is under way.
func (rec *record) botSpeaks() bool { return len(rec.Replies) > 0 || rec.env.speaking }
