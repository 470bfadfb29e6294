// Package handoverotel gives a handover.Handover metrics and traces, by the API of OpenTelemetry.
//
//	telemetry, err := handoverotel.New(handoverotel.Options{})
//	...
//	config := handover.Config{...}
//	telemetry.Configure(&config)
//	h, err := handover.New(config)
//	...
//	stop, err := telemetry.Watch(h.Health)
//
// The providers are those of the program, which sets them up and shuts them down. docs/observability.md lists the
// metrics, with their names in Prometheus; grafana/handover.json is a dashboard of them.
//
// # Traces
//
// A message of the user goes on in the trace in which it came: its post in Crisp, the calls that this took, and the bot's
// answer are spans in it. An agent writes in Crisp, which knows nothing of traces; so the delivery of what they
// write is a span in the trace of the hook that told of it, and links to the user's newest message. It is a trace of
// its own if no hook told of it. All this goes through the store: any replica may do any part.
//
// For that the host has spans around Handle or Receive and around the handler of Crisp's hooks, such as those of
// otelhttp. What it does in Answer and Deliver becomes part of the same traces by Context:
//
//	Deliver: func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
//		ctx = handoverotel.Context(ctx, m.TraceParent)
//		...
//	},
//
// Spans and metrics hold nothing that people wrote or are called. Metrics have no ids. Spans have those that the
// library and Crisp made; those of the channel, which are or hold a telephone number on some, only with
// Options.ChannelIDs.
package handoverotel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/crisphandover/handover"
)

// scope names what makes these metrics and spans.
const scope = "github.com/crisphandover/handover/handoverotel"

// Options are the settings of New. The zero value uses the providers of the program.
type Options struct {
	// MeterProvider and TracerProvider are in place of the global ones.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	// ChannelIDs has spans hold Conversation.ID and the ids of the user's messages.
	ChannelIDs bool
}

// Telemetry measures and traces one Handover, or several. Watch measures one.
type Telemetry struct {
	tracer     trace.Tracer
	meter      metric.Meter
	metrics    *metrics
	gauges     *gauges
	channelIDs bool

	mu       sync.Mutex
	watching bool
}

// New makes the instruments. It fails if the provider refuses one.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	t := &Telemetry{tracer: o.TracerProvider.Tracer(scope), meter: o.MeterProvider.Meter(scope), channelIDs: o.ChannelIDs}
	var errs [2]error
	t.metrics, errs[0] = newMetrics(t.meter)
	t.gauges, errs[1] = newGauges(t.meter)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("handover: handoverotel.New: %w", err)
	}
	return t, nil
}

// Configure sets Observe and TraceParent of a Config. An Observe that is there is called as well, afterwards; a
// TraceParent that is there stays.
func (t *Telemetry) Configure(c *handover.Config) {
	next := c.Observe
	if c.TraceParent == nil {
		c.TraceParent = TraceParent
	}
	c.Observe = func(ctx context.Context, a handover.Activity) {
		t.Observe(ctx, a)
		if next != nil {
			next(ctx, a)
		}
	}
}

// Observe is what Configure sets as Config.Observe. It measures an activity, and makes its span.
func (t *Telemetry) Observe(ctx context.Context, a handover.Activity) {
	t.span(ctx, &a)
	t.metrics.record(ctx, &a)
}

// TraceParent is what Configure sets as Config.TraceParent: the trace context of the span in ctx.
func TraceParent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Context returns ctx with a trace context as its parent: of an Incoming in Config.Answer, or of a Message in Config.Deliver. Spans
// that begin with it go on there. With "", or with what is no trace context, it returns ctx.
func Context(ctx context.Context, traceparent string) context.Context {
	if s := spanContext(traceparent); s.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, s)
	}
	return ctx
}

// spanContext reads a traceparent; it is not valid if that is not.
func spanContext(traceparent string) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}

// errorType is the attribute "error.type": few values, and never words.
func errorType(err error) string {
	var api *handover.APIError
	switch {
	case errors.As(err, &api) && api.StatusCode != 0:
		return fmt.Sprint(api.StatusCode)
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case api != nil:
		return "network"
	case errors.Is(err, handover.ErrUserAway):
		return "user_away"
	case errors.Is(err, errors.ErrUnsupported):
		return "unsupported"
	}
	return "_OTHER" // a callback of the host's
}
