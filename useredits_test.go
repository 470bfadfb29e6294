package handover_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// edit is an edit of the message with this id, in a channel where an edit has no id of its own.
func edit(r *rig.Rig, id, text string) handover.Incoming {
	return handover.Incoming{Conversation: r.Conv, ID: id, Edits: id, Text: text, At: time.Now()}
}

// edited has the user edit a message, wants that nobody is asked to answer that, and waits until Crisp has it.
func edited(r *rig.Rig, id, text string) {
	r.T.Helper()
	turn, err := r.Receive(edit(r, id, text))
	require.NoError(r.T, err)
	require.False(r.T, turn.Bot)
	require.Equal(r.T, handover.WhyEdit, turn.Why)
	require.Equal(r.T, id, turn.MessageID)
	r.Crisp.Settle()
}

// texts are those of the user's messages in Crisp, after the opening.
func texts(conv *handovertest.Conversation) []string { return rig.UserTexts(conv)[1:] }

// wrote has the user write under an id of the test's own, and waits until Crisp has it.
func wrote(r *rig.Rig, id, text string) {
	r.T.Helper()
	_, err := r.Receive(handover.Incoming{Conversation: r.Conv, ID: id, Text: text})
	require.NoError(r.T, err)
	r.Crisp.Settle()
}

// Of edits that overtake each other the one that was made last counts; without times, the one that comes last.
func TestEditsThatOvertakeEachOther(t *testing.T) {
	for _, own := range []bool{false, true} {
		for _, timed := range []bool{false, true} {
			t.Run(fmt.Sprintf("own ids %v, times %v", own, timed), func(t *testing.T) {
				rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
					wrote(r, "7", "one")
					first, second := edit(r, "7", "two"), edit(r, "7", "three")
					second.At = second.At.Add(time.Second)
					if own {
						first.ID, second.ID = "7a", "7b"
					}
					if !timed {
						first.At, second.At = time.Time{}, time.Time{}
					}
					for _, m := range []handover.Incoming{second, first, first} {
						_, err := r.Receive(m)
						require.NoError(t, err)
					}
					want := "two"
					if timed {
						want = "three"
					}
					require.Equal(t, []string{want}, texts(conv))
				})
			})
		}
	}
}

// An edit that has the words that the message has already, as channels send them for a preview, costs nothing.
func TestAnEditThatChangesNothing(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		wrote(r, "7", "one")
		calls := len(r.Crisp.Calls())
		edited(r, "7", "one")
		own := edit(r, "7", "one")
		own.ID = "7a"
		_, err := r.Receive(own)
		require.NoError(t, err)
		r.Crisp.Settle()
		require.Len(t, r.Crisp.Calls(), calls)
		require.Equal(t, []string{"one"}, texts(conv))
	})
}

// An edit costs one call, and its hook no read.
func TestCostOfAnEdit(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		wrote(r, "7", "one")
		r.After(time.Minute)
		calls := len(r.Crisp.Calls())
		edited(r, "7", "two")
		r.Crisp.Settle()
		require.Len(t, r.Crisp.Calls(), calls+1)
	})
}

// An id is of one message or of one edit.
func TestIDsOfEdits(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		_, err := r.Receive(handover.Incoming{Conversation: r.Conv, ID: "7", Text: "one"})
		require.NoError(t, err)
		_, err = r.Receive(handover.Incoming{Conversation: r.Conv, ID: "8", Edits: strings.Repeat("x", 300), Text: "one"})
		require.ErrorIs(t, err, handover.ErrBadMessage)
		_, err = r.Receive(handover.Incoming{Conversation: r.Conv, ID: "7", Text: "two"})
		require.ErrorIs(t, err, handover.ErrIDReused)
		_, err = r.Receive(handover.Incoming{Conversation: r.Conv, ID: "7", Edits: "6", Text: "two"})
		require.ErrorIs(t, err, handover.ErrIDReused)
	})
}

// Crisp may give the user's messages fingerprints of its own, also when the answer to the post was lost.
func TestEditsWhereCrispNumbersMessages(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer lost %v", lost), func(t *testing.T) {
			rig.Active(t, rig.Options{Crisp: handovertest.Options{OwnFingerprints: true}}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				if lost {
					r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutAfter: true})
				}
				wrote(r, "7", "one")
				edited(r, "7", "two")
				require.Equal(t, []string{"two"}, texts(conv))
			})
		})
	}
}

// Crisp's fingerprints may be negative. A record with an edit of such a message can be read by all replicas.
func TestAnEditOfAMessageWithANegativeNumber(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		other := r.Replica(rig.Options{Still: true})
		r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
			switch c.Route {
			case handovertest.RouteSend:
				return handovertest.Fault{Status: 200, Commit: true, Body: `{"error":false,"reason":"dispatched","data":{"fingerprint":-1078189900}}`}
			case handovertest.RouteEdit:
				return handovertest.Fault{Delay: time.Second}
			}
			return handovertest.Fault{}
		})
		wrote(r, "7", "one")
		go func() {
			_, err := r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "8", Edits: "7", Text: "two"})
			require.NoError(r.T, err)
		}()
		synctest.Wait()
		_, err := other.Session(r.T.Context(), r.Conv)
		require.NoError(r.T, err)
		r.After(time.Minute)
	})
}

// An edit that comes while its message is being posted follows it.
func TestAnEditWhileItsMessageIsPosted(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused %v", refused), func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				first := handovertest.Fault{Route: handovertest.RouteSend, Delay: 3 * time.Second}
				if refused {
					first.Status = http.StatusBadRequest
				}
				r.Crisp.Fail(1, first)
				go func() {
					_, err := r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "7", Text: "one"})
					require.Equal(t, refused, err != nil)
				}()
				r.After(time.Second)
				edited(r, "7", "two")
				r.After(time.Minute)
				want := "two"
				if refused {
					want = "Edited: two"
				}
				require.Equal(t, []string{want}, texts(conv))
			})
		})
	}
}

// What the user edits for long is no memory without an end.
func TestManyEdits(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		for i := range 40 {
			wrote(r, fmt.Sprint(i), fmt.Sprintf("message %d", i))
		}
		size := func() int {
			rec, err := r.Store.Load(context.Background(), r.Crisp.WebsiteID()+"/webchat/user-1")
			require.NoError(t, err)
			require.NotZero(t, rec.Version)
			return len(rec.Data)
		}
		before := size()
		for i := range 200 {
			edited(r, "39", fmt.Sprintf("edit %d", i))
			r.After(time.Second)
		}
		require.Less(t, size(), before+3000)
		require.Equal(t, "edit 199", texts(conv)[39])
		edited(r, "0", "too long ago to be known in Crisp")
		require.Equal(t, "Edited: too long ago to be known in Crisp", texts(conv)[40])
	})
}

// Channels give photos no names: one in place of another, with the same words, is told by its size.
func TestAnEditBringsAnotherPhoto(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		photo := func(url string, size int64) []handover.File {
			return []handover.File{{URL: "https://cdn.example.com/" + url, MIMEType: "image/jpeg", Size: size}}
		}
		m := handover.Incoming{ID: "7", Text: "my parcel", Files: photo("a", 1000)}
		for range 2 {
			_, err := r.Receive(m)
			require.NoError(t, err)
		}
		m.Edits, m.Files = "7", photo("b", 2000)
		for range 2 {
			_, err := r.Receive(m)
			require.NoError(t, err)
		}
		r.Crisp.Settle()
		var files []string
		for _, m := range conv.Messages() {
			if m.Type == "file" {
				files = append(files, fmt.Sprint(m.Content))
			}
		}
		require.Len(t, files, 2)
		require.Contains(t, files[1], "https://cdn.example.com/b")
	})
}

// However many edits came meanwhile, words that a message had once can be given back to it.
func TestAnEditBackToTheFirstWords(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		for i := range 12 {
			wrote(r, fmt.Sprint(i), fmt.Sprintf("message %d", i))
		}
		for i := range 12 {
			edited(r, fmt.Sprint(i), fmt.Sprintf("edit %d", i))
			r.After(time.Second)
		}
		edited(r, "0", "message 0")
		require.Equal(t, "message 0", texts(conv)[0])
	})
}

// An edit that names an edit before it is one of the message that both are about.
func TestAnEditOfAnEdit(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		wrote(r, "7", "one")
		for i, text := range []string{"two", "three", "four"} {
			m := edit(r, []string{"7", "7a", "7b"}[i], text)
			m.ID = []string{"7a", "7b", "7c"}[i]
			_, err := r.Receive(m)
			require.NoError(t, err)
			require.Equal(t, []string{text}, texts(conv))
			turn, err := r.Receive(m)
			require.NoError(t, err)
			require.Equal(t, handover.WhyEdit, turn.Why)
		}
	})
}

// So it is with Handle: while the message waits for the bot, and once the agents have it.
func TestAnEditOfAnEditByHandle(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		again := func(first string) {
			for i, text := range []string{"two", "three"} {
				require.NoError(t, r.TryHandle(handover.Incoming{ID: fmt.Sprint(first, "-", i+2), Edits: []string{first, first + "-2"}[i], Text: text}))
				r.Crisp.Settle()
			}
		}
		b.Think = rig.Takes(30 * time.Second)
		r.Handles("hello")
		r.After(time.Second)
		require.NoError(t, r.TryHandle(handover.Incoming{ID: "7", Text: "one"}))
		again("7")
		r.After(2 * time.Minute)
		require.Empty(t, r.Crisp.Conversations())
		require.Len(t, b.Turns(), 2)
		require.Equal(t, []string{"m1 #1", "7 #1"}, b.Attempts())
		require.Equal(t, "three", b.Heard())

		b.Thinks(nil)
		conv := r.Opened()
		require.NoError(t, r.TryHandle(handover.Incoming{ID: "8", Text: "one"}))
		r.Crisp.Settle()
		again("8")
		require.Equal(t, []string{"three"}, texts(conv))
	})
}
