package handover

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
