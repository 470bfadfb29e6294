package scenarios

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// Trace contexts of a message of the user, and of a hook.
const (
	traceOfUser = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traceOfHook = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

type traceKey struct{}

// traceIn is a Config.TraceParent that finds what withTrace put into a context.
func traceIn(ctx context.Context) string {
	trace, _ := ctx.Value(traceKey{}).(string)
	return trace
}

func withTrace(trace string) context.Context {
	return context.WithValue(context.Background(), traceKey{}, trace)
}

func tracing(r *rig.Rig, c *handover.Config) { c.TraceParent = traceIn }

// TestTraceThroughTheRecord follows a message of the user to Crisp, and an agent's answer to the user: the
// answer's delivery, by another process than the one that passed the question on, knows both traces.
func TestTraceThroughTheRecord(t *testing.T) {
	rig.Active(t, rig.Options{Config: tracing}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Forget()
		_, err := r.H.Receive(withTrace(traceOfUser), handover.Incoming{Conversation: r.Conv, ID: "parcel", Text: "where is my parcel?"})
		require.NoError(t, err)
		r.Crisp.Settle()
		posted := activity(r, handover.ActivityRelayed)
		require.Equal(t, traceOfUser, posted.TraceParent)
		require.Equal(t, "parcel", posted.MessageID)

		r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
			c.TraceParent = func(context.Context) string { return traceOfHook }
		}})
		r.Crisp.SetChooser(func(_ handovertest.HookInfo, n int) int { return n - 1 })
		r.After(10 * time.Second) // what the new process looks up at its start is done
		require.NoError(t, r.H.Shutdown(context.Background()))
		ann.Say("on its way")
		r.Crisp.Settle()
		shown := activity(r, handover.ActivityDelivered)
		require.Equal(t, traceOfHook, shown.TraceParent)
		require.Equal(t, traceOfUser, shown.TraceLink)
		require.Equal(t, traceOfHook, r.Last().TraceParent)
	})
}

// activity is the newest of a kind.
func activity(r *rig.Rig, kind handover.ActivityKind) (found handover.Activity) {
	for _, a := range r.Activities() {
		if a.Kind == kind {
			found = a
		}
	}
	return found
}

// TestCallsKnowWhatTheyAreFor has Observe told which conversation a call to Crisp was made for, which message,
// and in which trace.
func TestCallsKnowWhatTheyAreFor(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: tracing}, func(r *rig.Rig) {
		turn, err := r.H.Receive(withTrace(traceOfUser), handover.Incoming{Conversation: r.Conv, ID: "m1", Text: "a human, please"})
		require.NoError(t, err)
		_, err = r.H.Start(context.Background(), turn, handover.Request{})
		require.NoError(t, err)
		_, err = r.H.Receive(withTrace(traceOfHook), handover.Incoming{Conversation: r.Conv, ID: "m2", Text: "hello?"})
		require.NoError(t, err)
		r.Crisp.Settle()
		calls := map[string]handover.Activity{}
		for _, a := range r.Activities() {
			if a.Kind == handover.ActivityCall && a.Conversation == r.Conv {
				calls[a.Effect+" "+a.MessageID] = a
			}
		}
		created := calls["create conversation "]
		require.Equal(t, traceOfUser, created.TraceParent)
		require.NotEmpty(t, created.HandoverID)
		sent := calls["send message m2"]
		require.Equal(t, traceOfHook, sent.TraceParent)
		require.Equal(t, created.HandoverID, sent.HandoverID)
		require.Equal(t, r.Session().CrispID, sent.CrispID)
	})
}

// TestTraceOfAnAsking has a button ask for a human: no message of the user is there whose trace could go on.
func TestTraceOfAnAsking(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: tracing}, func(r *rig.Rig) {
		s, err := r.H.Session(context.Background(), r.Conv)
		require.NoError(t, err)
		_, err = r.H.Start(withTrace(traceOfUser), s.Turn(), handover.Request{})
		require.NoError(t, err)
		require.Equal(t, traceOfUser, activity(r, handover.ActivityAsked).TraceLink)
	})
}

// TestTraceParentIsValid leaves out what is no traceparent, whether it comes from the host or from a store.
func TestTraceParentIsValid(t *testing.T) {
	bad := []string{
		"", "00", "ff" + traceOfUser[2:], "01" + traceOfUser[2:], traceOfUser + "-00", traceOfUser[:54], strings.ToUpper(traceOfUser),
		"00-" + strings.Repeat("0", 32) + traceOfUser[35:], traceOfUser[:36] + strings.Repeat("0", 16) + "-01",
		strings.ReplaceAll(traceOfUser, "-", "_"), strings.Replace(traceOfUser, "4b", "\r\n", 1), strings.Replace(traceOfUser, "-", "a", 2),
	}
	rig.Active(t, rig.Options{Config: tracing}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for i, trace := range bad {
			id := string(rune('a' + i))
			_, err := r.H.Receive(withTrace(trace), handover.Incoming{Conversation: r.Conv, ID: id, Text: id, TraceParent: trace})
			require.NoError(t, err)
			r.Crisp.Settle()
			require.Empty(t, activity(r, handover.ActivityRelayed).TraceParent, "%q", trace)
		}
		_, err := r.H.Receive(withTrace(""), handover.Incoming{Conversation: r.Conv, ID: "good", Text: "good", TraceParent: traceOfUser})
		require.NoError(t, err)
		r.Crisp.Settle()
		require.Equal(t, traceOfUser, activity(r, handover.ActivityRelayed).TraceParent)
		r.Alter(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(traceOfUser), []byte(strings.ToUpper(traceOfUser)))
		})
		ann.Say("hello")
		r.Crisp.Settle()
		require.Empty(t, activity(r, handover.ActivityDelivered).TraceLink)
	})
}

// TestTraceParentPanics takes the message all the same.
func TestTraceParentPanics(t *testing.T) {
	config := func(_ *rig.Rig, c *handover.Config) {
		c.TraceParent = func(context.Context) string { panic("no span") }
	}
	rig.Active(t, rig.Options{Config: config}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Says("hello")
		ann.Say("hi")
		r.After(time.Second)
		require.Equal(t, 2, r.Count(handover.ActivityDelivered)-r.SystemDelivered())
	})
}
