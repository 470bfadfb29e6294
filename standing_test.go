package handover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crisplog"
)

// TestRecordsAreReadAsTheyWereWritten: what a record leaves out when it is written comes back, and what only looks like it stays.
func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	const first, second = "session_36ba3566-0000-4790-afc8-000000000001", "session_36ba3566-0000-4790-afc8-000000000002"
	at := time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)
	ann, bob := Agent{ID: "1", Name: "Ann"}, Agent{ID: "2", Name: "Bob"}
	for name, change := range map[string]func(rec *record){
		"as short as it can be": func(rec *record) {},
		"a sign of the user":    func(rec *record) { rec.Touched = at.Add(time.Second) },
		"ended":                 func(rec *record) { rec.Epoch++ },
		"no session yet":        func(rec *record) { rec.Handover.CrispID, rec.Handover.Opening, rec.Handover.Agents = "", 0, nil },
		"no opening yet":        func(rec *record) { rec.Handover.Opening = 0 },
		"a session again":       func(rec *record) { rec.Handover.Opening = 77 },
		"a session forgotten":   func(rec *record) { rec.Sessions = rec.Sessions[:1] },
		"an older session":      func(rec *record) { rec.Handover.CrispID, rec.Handover.Opening, rec.Handover.Agents = first, 1, nil },
		"another avatar":        func(rec *record) { rec.Handover.Agents[0].Avatar = "https://image.crisp.chat/y.png" },
		"nobody came":           func(rec *record) { rec.Handover.Agents = nil },
		"assigned":              func(rec *record) { rec.Handover.FirstReply = time.Time{} },
		"assigned, then wrote":  func(rec *record) { rec.Handover.FirstReply = at.Add(time.Minute) },
		"opening":               func(rec *record) { rec.Handover.Opened, rec.Handover.LastWord = time.Time{}, time.Time{} },
		"a last word":           func(rec *record) { rec.Handover.LastWord = at.Add(time.Minute) },
		"no deadline":           func(rec *record) { rec.Handover.Timeouts.Claim = -1 },
		"waiting":               func(rec *record) { rec.State = StateWaiting },
		"active":                func(rec *record) { rec.State, rec.Since = StateActive, at.Add(time.Minute) },
		"opened anew": func(rec *record) {
			rec.State, rec.FollowUp = StateActive, &handover{ID: "f", Timeouts: rec.Handover.Timeouts, Epoch: 7, Opened: at, LastWord: at}
		},
		"the first epoch": func(rec *record) { rec.First = rec.Epoch },
		"no first epoch":  func(rec *record) { rec.First = 0 },
		"a follow-up":     func(rec *record) { rec.FollowUp, rec.Handover = rec.Handover, nil },
	} {
		t.Run(name, func(t *testing.T) {
			rec := &record{
				V: recordVersion, Website: "w", Conversation: Conversation{Source: "webchat", ID: "user"}, Touched: at, effects: effects{Serial: 9},
				standing: standing{State: StateBot, Epoch: 7, First: 6, Since: at, Handover: &handover{
					ID: "h", CrispID: second, Opening: 2, Epoch: 7, Timeouts: keptTimeouts{standardTimeouts},
					Asked: at, Opened: at, Claimed: at, FirstReply: at, LastWord: at, Agents: agents{bob, ann},
				}},
				Sessions: crisplog.Sessions{
					{ID: first, Log: crisplog.Log{First: 1, Authors: []crisplog.Author{crisplog.Author(ann)}}},
					{ID: second, Log: crisplog.Log{First: 2, Authors: []crisplog.Author{crisplog.Author(ann), crisplog.Author(bob)}}},
				},
			}
			change(rec)
			data, _, err := rec.encode()
			require.NoError(t, err)
			read, err := decodeRecord(Record{Version: 1, Data: data}, "w/webchat/user", Conversation{}, at)
			require.NoError(t, err)
			require.Equal(t, rec, read)
		})
	}
	for _, handover := range []string{`"session":1`, `"session":-1`, `"by":[1]`} {
		data := `{"v":1,"conversation":{"source":"webchat","id":"user"},"state":"bot","epoch":1,"since":"2026-11-30T20:00:00Z","serial":1,"handover":{"id":"h",` + handover + `}}`
		_, err := decodeRecord(Record{Version: 1, Data: []byte(data)}, "w/webchat/user", Conversation{}, at)
		require.ErrorIs(t, err, errUnreadable, handover)
	}
}

// TestPostsWithoutContent: what is left out when a record is written is refused when it is read, and not only after a save.
func TestPostsWithoutContent(t *testing.T) {
	for content, refused := range map[string]bool{`"words"`: false, `null`: true, `""`: true, `{}`: true, `[]`: true} {
		data := `{"v":1,"conversation":{"source":"webchat","id":"user"},"state":"bot","epoch":1,"since":"2026-11-30T20:00:00Z","serial":1,
			"sessions":[{"id":"session_00000000-0000-4000-8000-000000000001"}],
			"to_crisp":[{"n":1,"kind":"post","crisp":"session_00000000-0000-4000-8000-000000000001","fp":1,"incoming":"1","content":` + content + `}]}`
		_, err := decodeRecord(Record{Version: 1, Data: []byte(data)}, "w/webchat/user", Conversation{}, time.Now())
		if !refused {
			require.NoError(t, err, content)
			continue
		}
		require.ErrorIs(t, err, errUnreadable, content)
	}
}
