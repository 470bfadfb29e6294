package handover

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crisplog"
)

// One person writes from several tools, not all of which say who they are.
func TestAgentsAreKnownByTheirIDsElseByTheirNames(t *testing.T) {
	ann, bare, other := Agent{ID: "1", Name: "Ann"}, Agent{Name: "Ann"}, Agent{ID: "2", Name: "Ann"}
	for name, tt := range map[string]struct {
		wrote []Agent
		new   []bool
		want  agents
	}{
		"with and without an id":       {[]Agent{ann, bare, ann, bare}, []bool{true, false, false, false}, agents{ann}},
		"without an id first":          {[]Agent{bare, ann, bare}, []bool{true, false, false}, agents{ann}},
		"two ids with one name":        {[]Agent{ann, other, ann}, []bool{true, true, true}, agents{other, ann}},
		"a bare name is the last one":  {[]Agent{ann, other, bare}, []bool{true, true, false}, agents{ann, other}},
		"an id wins over a name":       {[]Agent{ann, bare, other, ann}, []bool{true, false, true, true}, agents{other, ann}},
		"a new name is no new person":  {[]Agent{ann, {ID: "1", Name: "Ann B."}}, []bool{true, false}, agents{{ID: "1", Name: "Ann B."}}},
		"nobody is known by no name":   {[]Agent{{}, {}}, []bool{true, false}, agents{{}}},
		"a name is not that of nobody": {[]Agent{{}, bare}, []bool{true, true}, agents{{}, bare}},
	} {
		t.Run(name, func(t *testing.T) {
			var all agents
			for i, a := range tt.wrote {
				require.Equal(t, tt.new[i], all.speaks(a), i)
			}
			require.Equal(t, tt.want, all)
		})
	}
	var all agents
	for i := range 10 * maxAgents {
		all.speaks(Agent{Name: fmt.Sprint(i)})
	}
	require.Len(t, all, maxAgents)
}

// What Crisp tells of an agent is bounded, since it is kept and shown.
func TestAgentsAsCrispTellsOfThem(t *testing.T) {
	user := EventUser{UserID: "1", Nickname: " Ann\n\x00 B. ", Avatar: "https://example.com/ann.png"}
	require.Equal(t, Agent{ID: "1", Name: "Ann B.", Avatar: user.Avatar}, agentOf(user.author()))
	for _, avatar := range []string{"http://me:pw@example.com/x", "https://10.0.0.1/x.png", "https://nas.local/x.png", `https://example.com/"x`} {
		user = EventUser{Nickname: "\x1b[31mA\u202ennA\u2067", Avatar: avatar}
		require.Equal(t, Agent{Name: "[31mAnnA"}, agentOf(user.author()))
	}
	user = EventUser{UserID: strings.Repeat("1", 1000), Nickname: strings.Repeat("a", 10_000), Avatar: "javascript:alert(1)"}
	require.Equal(t, Agent{Name: strings.Repeat("a", maxAgentName-1) + "…"}, agentOf(user.author()))
}

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
