package handover

import "time"

// retryNow makes what waits due now, and reports whether anything was to be. It goes on to keep what others asked for: a
// place among the conversations made in a minute, a channel's "not before", and the time after which Crisp can be
// asked what became of a post.
func (rec *record) retryNow() (any bool) {
	now := rec.env.now
	soon := func(next *time.Time, at time.Time) {
		if next.After(at) {
			*next, any = at, true
		}
	}
	if len(rec.Away) > 0 {
		any = true
		rec.userSign()
	}
	for _, q := range []queue{rec.ToUser, rec.ToCrisp} {
		for _, e := range q {
			switch {
			case e.Running || e.Placed || e.Fault == "later" || e.Fault == "":
			case e.Unsure:
				soon(&e.Next, now.Add(callTimeout))
			default:
				soon(&e.Next, now)
			}
		}
	}
	if m := rec.UserMessages.unanswered(rec.Replies.answering() != nil); m != nil && rec.Replies.answering() == nil {
		soon(&m.Next, now)
	}
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if s := rec.Sessions.ByID(k.Crisp); s != nil && s.Reads.Fails > 0 {
			soon(&k.Next, now)
			soon(&s.Reads.Retry, now)
		}
	}
	return any
}
