package handoverotel_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handoverotel"
	"github.com/crisphandover/handover/handovertest"
)

// tracing keeps the spans of a test.
type tracing struct {
	spans    *tracetest.InMemoryExporter
	provider *sdktrace.TracerProvider
}

func newTracing() *tracing {
	spans := tracetest.NewInMemoryExporter()
	return &tracing{spans, sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))}
}

func (tr *tracing) telemetry(t *testing.T, o handoverotel.Options) *handoverotel.Telemetry {
	t.Helper()
	o.TracerProvider = tr.provider
	telemetry, err := handoverotel.New(o)
	require.NoError(t, err)
	return telemetry
}

// named returns the last span with this name.
func (tr *tracing) named(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	all := tr.spans.GetSpans()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Name == name {
			return all[i]
		}
	}
	require.Fail(t, "there is no span "+name)
	return tracetest.SpanStub{}
}

// replica runs one more process of the bot, which has a span for each hook.
func (tr *tracing) replica(t *testing.T, crisp *handovertest.Crisp, change func(*handover.Config)) *handover.Handover {
	t.Helper()
	config := crisp.Config()
	config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
	tr.telemetry(t, handoverotel.Options{}).Configure(&config)
	if change != nil {
		change(&config)
	}
	h, err := handover.New(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = h.Run(ctx) }()
	detach := crisp.Attach(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tr.provider.Tracer("host").Start(r.Context(), "POST /crisp/hooks", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(func() {
		cancel()
		<-stopped
		detach()
		require.NoError(t, h.Shutdown(context.Background()))
	})
	return h
}

// TestOneTraceToCrispAndBack follows a question of the user's to Crisp, and the agent's answer back, which another
// process shows: it is a span of the hook's trace, and links to the question.
func TestOneTraceToCrispAndBack(t *testing.T) { synctest.Test(t, oneTraceToCrispAndBack) }

func oneTraceToCrispAndBack(t *testing.T) {
	tr, crisp := newTracing(), handovertest.NewCrisp(t, handovertest.Options{})
	var inDeliver trace.SpanContext
	first := tr.replica(t, crisp, nil)
	conv := handover.Conversation{Source: "web", ID: "+49 170 1234567"}
	s, err := first.Session(t.Context(), conv)
	require.NoError(t, err)
	_, err = first.Start(t.Context(), s.Turn(), handover.Request{})
	require.NoError(t, err)
	crisp.Settle()

	ctx, question := tr.provider.Tracer("host").Start(t.Context(), "POST /messages")
	_, err = first.Receive(ctx, handover.Incoming{Conversation: conv, ID: "m1", Text: "where is my parcel?"})
	require.NoError(t, err)
	question.End()
	crisp.Settle()
	relay := tr.named(t, "handover.relay")
	require.Equal(t, question.SpanContext().SpanID(), relay.Parent.SpanID())
	require.Equal(t, question.SpanContext().TraceID(), relay.SpanContext.TraceID())
	call := tr.named(t, "handover.crisp.call send message")
	require.Equal(t, question.SpanContext().SpanID(), call.Parent.SpanID())
	require.Equal(t, trace.SpanKindClient, call.SpanKind)
	require.False(t, call.EndTime.Before(call.StartTime))

	tr.replica(t, crisp, func(c *handover.Config) {
		c.Deliver = func(ctx context.Context, _ handover.Session, m handover.Message) (string, error) {
			inDeliver = trace.SpanContextFromContext(handoverotel.Context(ctx, m.TraceParent))
			return "", nil
		}
	})
	crisp.SetChooser(func(_ handovertest.HookInfo, n int) int { return n - 1 })
	require.NoError(t, first.Shutdown(t.Context()))
	time.Sleep(10 * time.Second) // in the bubble: what the new process looks up at its start is done
	tr.spans.Reset()
	crisp.Last().Operator("Ann").Say("on its way")
	crisp.Settle()
	shown := tr.named(t, "handover.deliver")
	hook := slices.IndexFunc(tr.spans.GetSpans(), func(s tracetest.SpanStub) bool { return s.SpanContext.SpanID() == shown.Parent.SpanID() })
	require.NotEqual(t, -1, hook)
	require.Equal(t, "POST /crisp/hooks", tr.spans.GetSpans()[hook].Name)
	require.Equal(t, inDeliver.SpanID(), shown.Parent.SpanID())
	require.Len(t, shown.Links, 1)
	require.Equal(t, question.SpanContext().SpanID(), shown.Links[0].SpanContext.SpanID())

	for _, span := range tr.spans.GetSpans() {
		for _, a := range span.Attributes {
			require.NotEqual(t, conv.ID, a.Value.AsString(), "%s of %s", a.Key, span.Name)
			require.NotEqual(t, "m1", a.Value.AsString(), "%s of %s", a.Key, span.Name)
		}
	}
}

// TestSpans has activities of each kind that spans are made of, and of some that none is.
func TestSpans(t *testing.T) {
	tr := newTracing()
	telemetry := tr.telemetry(t, handoverotel.Options{ChannelIDs: true})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	observe := func(a handover.Activity) {
		a.At, a.Took, a.Conversation = at, time.Second, handover.Conversation{Source: "web", ID: "c1"}
		telemetry.Observe(t.Context(), a)
	}
	observe(handover.Activity{Kind: handover.ActivityAnswered, MessageID: "m1", TraceParent: parent, TraceLink: parent})
	answer := tr.named(t, "handover.answer")
	require.Equal(t, at.Add(-time.Second), answer.StartTime)
	require.Equal(t, at, answer.EndTime)
	require.Empty(t, answer.Links, "of itself")
	require.Contains(t, attributesOf(answer), "handover.conversation.id=c1")
	require.Contains(t, attributesOf(answer), "handover.message.id=m1")

	observe(handover.Activity{Kind: handover.ActivityDelivered, TraceLink: parent})
	shown := tr.named(t, "handover.deliver")
	require.False(t, shown.Parent.IsValid(), "no hook told of it")
	require.Len(t, shown.Links, 1)

	observe(handover.Activity{Kind: handover.ActivityCall, Effect: "send message", TraceParent: parent, Err: errors.New("a secret")})
	call := tr.named(t, "handover.crisp.call send message")
	require.Equal(t, at, call.StartTime)
	require.Equal(t, codes.Error, call.Status.Code)
	require.Empty(t, call.Status.Description)
	require.Contains(t, attributesOf(call), "error.type=_OTHER")

	tr.spans.Reset()
	for _, a := range []handover.Activity{
		{Kind: handover.ActivityCall, Effect: "list conversations"}, {Kind: handover.ActivityFault}, {Kind: handover.ActivityState},
	} {
		observe(a)
	}
	require.Empty(t, tr.spans.GetSpans())
}

func attributesOf(s tracetest.SpanStub) (all []string) {
	for _, a := range s.Attributes {
		all = append(all, string(a.Key)+"="+a.Value.String())
	}
	return all
}

// TestContext leaves a context alone where there is no trace context to continue.
func TestContext(t *testing.T) {
	require.Empty(t, handoverotel.TraceParent(t.Context()))
	require.Equal(t, t.Context(), handoverotel.Context(t.Context(), "nonsense"))
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	require.Equal(t, parent, handoverotel.TraceParent(handoverotel.Context(t.Context(), parent)))
}

// TestConfigureKeepsObserve calls the host's own Observe as well.
func TestConfigureKeepsObserve(t *testing.T) {
	heard := 0
	config := handover.Config{Observe: func(context.Context, handover.Activity) { heard++ }}
	newTracing().telemetry(t, handoverotel.Options{}).Configure(&config)
	config.Observe(t.Context(), handover.Activity{Kind: handover.ActivityState})
	require.Equal(t, 1, heard)
}

// TestConfigureKeepsTraceParent leaves the host's own TraceParent in place.
func TestConfigureKeepsTraceParent(t *testing.T) {
	config := handover.Config{TraceParent: func(context.Context) string { return "own" }}
	newTracing().telemetry(t, handoverotel.Options{}).Configure(&config)
	require.Equal(t, "own", config.TraceParent(t.Context()))
}
