package handover

import (
	"slices"
	"time"
)

// trim drops what can no longer matter. A row of the table leaves when no read asks for its message
// any more, never by count alone. A page may show more than was asked for: what was withheld is
// judged again then, and withheld again.
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
		s.Log.trim(rec.posting)
	}
}

// posting reports whether a post with this fingerprint still waits for its outcome.
func (rec *record) posting(fp int64) bool {
	return slices.ContainsFunc(rec.ToCrisp, func(e *effect) bool { return e.FP == fp })
}

// idle reports whether nothing is open.
func (rec *record) idle() bool {
	return rec.State == StateBot && rec.Offer == nil && rec.FollowUp == nil && len(rec.Hooks) == 0 &&
		len(rec.ToUser) == 0 && len(rec.ToCrisp) == 0 && len(rec.Replies) == 0
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
