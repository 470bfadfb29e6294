package handoverotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/crisphandover/handover"
)

// spanOf says what the span of an activity is called and of which kind it is. An activity without a name has none: it is
// of a moment, or it is a call that nothing of the user's or an agent's is behind.
func spanOf(a *handover.Activity) (name string, kind trace.SpanKind) {
	switch a.Kind {
	case handover.ActivityAnswered:
		return "handover.answer", trace.SpanKindInternal
	case handover.ActivityRelayed:
		return "handover.relay", trace.SpanKindProducer
	case handover.ActivityDelivered:
		return "handover.deliver", trace.SpanKindConsumer
	case handover.ActivityCall:
		if a.TraceParent != "" {
			return "handover.crisp.call " + a.Effect, trace.SpanKindClient
		}
	}
	return "", 0
}

// span makes the span of an activity, which is over already.
func (t *Telemetry) span(ctx context.Context, a *handover.Activity) {
	name, kind := spanOf(a)
	if name == "" {
		return
	}
	begun, ended := a.At.Add(-a.Took), a.At
	if a.Kind == handover.ActivityCall { // its At is when it began
		begun, ended = a.At, a.At.Add(a.Took)
	}
	with := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithTimestamp(begun), trace.WithAttributes(t.attributes(a)...)}
	parent, link := spanContext(a.TraceParent), spanContext(a.TraceLink)
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	} else {
		with = append(with, trace.WithNewRoot())
	}
	if link.IsValid() && link.SpanID() != parent.SpanID() {
		with = append(with, trace.WithLinks(trace.Link{SpanContext: link}))
	}
	_, span := t.tracer.Start(ctx, name, with...)
	if a.Err != nil {
		span.SetAttributes(attribute.String("error.type", errorType(a.Err)))
		span.SetStatus(codes.Error, "") // what the error says may quote people
	}
	span.End(trace.WithTimestamp(ended))
}

// attributes say what a span is about.
func (t *Telemetry) attributes(a *handover.Activity) []attribute.KeyValue {
	var all []attribute.KeyValue
	add := func(key, value string) {
		if value != "" {
			all = append(all, attribute.String(key, value))
		}
	}
	add("handover.source", a.Conversation.Source)
	add("handover.id", a.HandoverID)
	add("handover.crisp.session.id", a.CrispID)
	if t.channelIDs || a.Kind == handover.ActivityDelivered { // whose id the library made
		add("handover.message.id", a.MessageID)
	}
	if t.channelIDs {
		add("handover.conversation.id", a.Conversation.ID)
	}
	if a.Kind == handover.ActivityCall {
		add("handover.crisp.operation", a.Effect)
	} else {
		all = append(all, attribute.Int("handover.attempt", a.Attempt))
	}
	return all
}
