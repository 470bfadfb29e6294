package handover

import (
	"slices"
	"time"
)

// maxSeen bounds how many of the user's messages are remembered; channels repeat a message within
// minutes, not after this many others.
const maxSeen = 128

// maxWords bounds how many messages are kept word by word until somebody has answered them.
const maxWords = 32

// maxShown is how many messages that were shown, or could not be, are known: they can be edited and
// removed on the user's side, and are given up once.
const maxShown = 500

// maxOurs is how many messages of ours are known by their fingerprint, so that their echo as a hook
// costs no look.
const maxOurs = 64

// trim drops what can no longer matter. A row of the table leaves when no read asks for its message
// any more, never by count alone. A page may show more than was asked for: what was withheld is
// judged again then, and withheld again.
func (d *data) trim() {
	d.trimSeen()
	d.Sessions = slices.DeleteFunc(d.Sessions, func(s *crispSession) bool {
		return s != d.last() && s != d.current() && !s.Ended.IsZero() && !d.env.now.Before(s.Ended.Add(d.env.cfg.Timeouts.Late)) &&
			!slices.ContainsFunc(d.Inbox, func(k hook) bool { return k.Crisp == s.ID }) &&
			!slices.ContainsFunc(slices.Concat(d.In.Queue, d.Out.Queue, d.Away), func(e *effect) bool { return e.Crisp == s.ID })
	})
	if d.Stay != nil && !d.human() && !d.Stay.Ended.IsZero() && !d.env.now.Before(d.Stay.Ended.Add(d.env.cfg.Timeouts.Late)) {
		d.Stay.Request = Request{} // what is known of the user goes with the late window
	}
	for _, s := range d.Sessions {
		read := s.Watermark - overlap.Milliseconds()
		shown, ours := 0, 0
		for _, e := range s.Table {
			switch e.Fate {
			case fateShown, fateFailed:
				shown++
			case fateOurs:
				ours++
			}
		}
		s.Table = slices.DeleteFunc(s.Table, func(e *entry) bool {
			if e.Fate == fateOurs { // known by its origin as well, if it is seen again
				drop := ours > maxOurs && e.At != 0 && !d.posting(e.FP)
				if drop {
					ours--
				}
				return drop
			}
			if e.At >= read {
				return false
			}
			if e.Fate != fateShown && e.Fate != fateFailed {
				return true
			}
			if shown <= maxShown {
				return false
			}
			shown--
			return true
		})
	}
}

// trimSeen bounds what is remembered of the user's messages. What is on its way is always kept;
// words that wait for the bot's answer, or for a handover, only of the newest.
func (d *data) trimSeen() {
	extra, words := len(d.Seen)-maxSeen, 0
	for i := len(d.Seen) - 1; i >= 0; i-- {
		s := d.Seen[i]
		if s.Incoming == nil || s.Outcome == outcomePosting {
			continue
		}
		if words++; words > maxWords {
			s.Outcome, s.Incoming = outcomeAnswered, nil
		}
	}
	d.Seen = slices.DeleteFunc(d.Seen, func(s *seen) bool {
		drop := extra > 0 && s.Outcome != outcomePosting
		if drop {
			extra--
		}
		return drop
	})
}

// posting reports whether a post with this fingerprint still waits for its outcome.
func (d *data) posting(fp int64) bool {
	return slices.ContainsFunc(d.Out.Queue, func(e *effect) bool { return e.FP == fp })
}

// idle reports whether nothing is open.
func (d *data) idle() bool {
	return d.State == StateBot && d.Offer == nil && d.FollowUp == nil && len(d.Inbox) == 0 &&
		len(d.In.Queue) == 0 && len(d.Out.Queue) == 0 && len(d.Floors) == 0 &&
		d.In.Lease.free() && d.Out.Lease.free()
}

// keepBare is how long a conversation without any handover is remembered, for the channel's
// repeats of its messages.
const keepBare = 24 * time.Hour

// keepUntil is when an idle record may be forgotten: no late message is promised any more.
func (d *data) keepUntil() time.Time {
	if len(d.Sessions) == 0 {
		return d.Touched.Add(keepBare)
	}
	return d.Touched.Add(d.env.cfg.Timeouts.Late)
}

// expired reports whether the record may be forgotten.
func (d *data) expired() bool { return d.idle() && !d.env.now.Before(d.keepUntil()) }
