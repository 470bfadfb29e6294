package handover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// OnEnd waits for the Receive of a message that the end gave back, also when an agent begins another
// handover meanwhile, and no longer than that.
func TestOnEndWaitsForReceive(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		heard  bool
		unsent []string
	}{
		"heard":   {heard: true},
		"unheard": {unsent: []string{"m"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &crispSession{ID: "session_1"}
			m := &userMessage{ID: "m", Status: messagePosting, Incoming: &Incoming{ID: "m", Text: "hello"}, Handover: "h", Waits: now.Add(claimTTL)}
			rec := &record{
				State: StateWaiting, Epoch: 1, Handover: &handover{ID: "h", CrispID: s.ID, Opened: now},
				Sessions: sessions{s}, UserMessages: userMessages{m},
				env: &env{cfg: &Config{}, now: now, stored: true},
			}
			rec.push(&rec.ToCrisp, effect{Kind: kindPost, HandoverID: "h", Crisp: s.ID, Incoming: "m"})
			rec.fire(onHostEnd, cause{})
			end := rec.ToUser[len(rec.ToUser)-1]
			require.Equal(t, kindOnEnd, end.Kind)
			require.Equal(t, now.Add(claimTTL), end.Next, "a Receive waits")
			rec.fire(onHuman, cause{session: s, agent: Agent{Name: "Ann"}, at: now.UnixMilli()})
			require.NotEqual(t, "h", rec.Handover.ID)
			rec.waited(m, tt.heard)
			require.Zero(t, end.Next)
			require.Equal(t, tt.unsent, end.Summary.Unsent)
		})
	}
}
