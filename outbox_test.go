package handover

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crisplog"
)

// Whatever ids a channel gives to its messages, none is ever taken for one of the library's own.
func TestFingerprintsOfUsersAndOursDiffer(t *testing.T) {
	c := Conversation{Source: "webchat", ID: "user-1"}
	const owner = "H"
	opening, note := fingerprint(c, owner, ofOpening, "", 0), fingerprint(c, owner, ofNote, "", 0)
	require.NotEqual(t, opening, note)
	for _, id := range []string{"opening", "note", "user", "", `" "`, `opening" ""`, "H", "0"} {
		for part := range 3 {
			fp := fingerprint(c, owner, ofUser, id, part)
			require.NotContains(t, []int64{opening, note, fingerprint(c, owner, ofNote, "", part)}, fp, id)
			require.True(t, fp > 0 && fp < 1<<53)
		}
	}
}

// A process of another release finds what this one has posted: names are quoted as %q does, whatever is in them.
func TestFingerprintsStay(t *testing.T) {
	require.Equal(t, int64(921_870_353_500_402), fingerprint(Conversation{WebsiteID: "site", Source: "webchat", ID: "user-1"}, "H", ofUser, "m-1", 2))
	for _, id := range []string{"", "user 1 ~", `"`, `\`, "a\nb", "\x00", "\x7f", "é", "\u202e", "\U0001f642", "\xff", "\ufffd"} {
		require.Equal(t, fmt.Sprintf("%q", id), string(appendQuoted(nil, id)))
	}
}

// The answer to a post and its hook come in either order: both tell Crisp's clock.
func TestCrispsClockIsKnownFromAPostAndItsEcho(t *testing.T) {
	at := time.UnixMilli
	const base, ahead = 1_800_000_000_000, 3_600_000
	for name, order := range map[string][]string{"answer first": {"sent", "echo"}, "hook first": {"echo", "sent"}} {
		t.Run(name, func(t *testing.T) {
			var l crisplog.Log
			ours := func(fp int64) *crisplog.Entry {
				l.Ours(fp)
				return l.Entry(fp)
			}
			e := ours(7)
			for _, step := range order {
				if step == "sent" {
					l.Sent(7, at(base), at(base+200))
				} else {
					l.Echoed(e, base+100+ahead, at(base+200))
				}
			}
			require.True(t, l.Sampled)
			require.EqualValues(t, ahead, l.Ahead)

			l.Echoed(ours(8), base+10_000+ahead+4000, at(base+10_000))
			l.Sent(8, at(base+10_000), at(base+20_000))
			require.EqualValues(t, ahead, l.Ahead, "a slow call tells less than a fast one")

			l.Echoed(ours(9), base+30_100, at(base+30_000))
			l.Sent(9, at(base+30_000), at(base+30_200))
			require.EqualValues(t, 0, l.Ahead, "a clock was set")

			l.Echoed(ours(10), base+40_000-ahead, at(base+40_000))
			l.Sent(10, at(base+40_000), at(base+40_000))
			require.EqualValues(t, -ahead, l.Ahead, "and set back")
			_, ok := l.Plausible(base+40_000, at(base+40_000))
			require.False(t, ok, "an hour ahead of Crisp's clock")
		})
	}
}
