package handover

import (
	"slices"
	"time"
)

// queue is one direction: the effects that wait, in order.
type queue []*effect

// opens reports whether the effect is a step of an opening.
func (k effectKind) opens() bool { return k == kindCreate || k == kindGreet || k.optional() }

// optional reports whether an opening is worth having without this step.
func (k effectKind) optional() bool { return k == kindMetas || k == kindInbox || k == kindAssign }

// aside reports whether the effect may be overtaken: it must not hold up what people write.
func (k effectKind) aside() bool {
	switch k {
	case kindResolve, kindNote, kindMark, kindEmail, kindRate, kindOnEnd:
		return true
	}
	return !k.known()
}

// repeatable reports whether carrying the effect out twice does no harm, so that it need not be
// written down that it was begun.
func (k effectKind) repeatable() bool {
	switch k {
	case kindMark, kindResolve, kindMetas, kindInbox, kindAssign, kindEmail:
		return true
	}
	return false
}

// known reports whether this version can carry the effect out. Another one waits for the process of
// a newer version that queued it.
func (k effectKind) known() bool {
	switch k {
	case kindDeliver, kindRevise, kindText, kindEnd, kindOnEnd, kindCreate, kindMetas, kindInbox, kindAssign,
		kindGreet, kindPost, kindAnswer, kindResolve, kindNote, kindMark, kindEmail, kindRate:
		return true
	}
	return false
}

// unknownEvery is how often a record is looked at that holds an effect of a newer version.
const unknownEvery = time.Hour

// ready returns the effect that may run now, and when the queue wants attention otherwise. A
// waiting effect holds up those behind it, but an aside only those of its kind. A resolve waits for
// what the user wrote before it, which would open the conversation again.
func (q queue) ready(now time.Time) (*effect, time.Time) {
	var wait time.Time
	var blocked []effectKind // "" stands for what is no aside
	for _, e := range q {
		class := e.Kind
		if !class.aside() {
			class = ""
		}
		if slices.Contains(blocked, class) || class == kindResolve && slices.Contains(blocked, "") {
			continue
		}
		if !e.Kind.known() {
			blocked = append(blocked, class)
			wait = earlier(wait, now.Add(unknownEvery))
			continue
		}
		if !e.Next.After(now) {
			return e, now
		}
		blocked = append(blocked, class)
		wait = earlier(wait, e.Next)
	}
	return nil, wait
}

// effect returns the queued effect with this number, or nil: it may have been settled by a read.
func (q queue) effect(n int64) *effect {
	for _, e := range q {
		if e.N == n {
			return e
		}
	}
	return nil
}

func (q queue) has(match func(*effect) bool) bool { return slices.ContainsFunc(q, match) }

// drop removes the effects that match.
func (q *queue) drop(match func(*effect) bool) { *q = slices.DeleteFunc(*q, match) }

// untried reports whether a message of the log waits, and no part of it was tried yet.
func (q queue) untried(crisp string, e *logEntry) bool {
	parts, tried := 0, len(e.ChannelID) > 0
	for _, x := range q {
		if x.Kind == kindDeliver && x.Crisp == crisp && x.FP == e.FP {
			parts++
			tried = tried || x.Attempts > 0
		}
	}
	return parts > 0 && !tried
}
