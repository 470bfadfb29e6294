package handoverotel

import (
	"context"
	"errors"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/crisphandover/handover"
)

// metrics are the instruments. Names and units follow the semantic conventions: what is counted is a word in
// braces, and times are seconds.
type metrics struct {
	answered, relayed, delivered, withheld metric.Int64Counter
	requests, ends, ratings                metric.Int64Counter
	faults, failures, dropped              metric.Int64Counter

	answer, relay, delivery, state, call metric.Float64Histogram
}

// Boundaries of the histograms, in seconds.
var (
	ofCalls  = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	ofWork   = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400}
	ofStates = []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400}
)

func newMetrics(m metric.Meter) (*metrics, error) {
	all, errs := new(metrics), []error(nil)
	counter := func(to *metric.Int64Counter, name, unit, description string) {
		var err error
		*to, err = m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		errs = append(errs, err)
	}
	histogram := func(to *metric.Float64Histogram, name string, bounds []float64, description string) {
		var err error
		*to, err = m.Float64Histogram(name, metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(bounds...), metric.WithDescription(description))
		errs = append(errs, err)
	}
	counter(&all.answered, "handover.messages.answered", "{message}", "Messages of users that the bot answered.")
	counter(&all.relayed, "handover.messages.relayed", "{message}", "Messages of users that are in Crisp.")
	counter(&all.delivered, "handover.messages.delivered", "{message}", "Messages that users were shown, each part counted.")
	counter(&all.withheld, "handover.messages.withheld", "{message}", "Messages in Crisp that are not for the user.")
	counter(&all.requests, "handover.requests", "{request}", "Times that a human was asked for.")
	counter(&all.ends, "handover.ends", "{handover}", "Handovers that ended.")
	counter(&all.ratings, "handover.ratings", "{rating}", "Ratings that users gave.")
	counter(&all.faults, "handover.faults", "{fault}", "Attempts that failed and are repeated.")
	counter(&all.failures, "handover.failures", "{failure}", "What was given up, or could not be shown or sent.")
	counter(&all.dropped, "handover.hooks.dropped", "{hook}", "Web hooks that were dropped.")
	histogram(&all.answer, "handover.answer.duration", ofWork, "From the first call of Config.Answer for a message until it was answered.")
	histogram(&all.relay, "handover.relay.duration", ofWork, "From when a message of the user was taken until Crisp had it.")
	histogram(&all.delivery, "handover.delivery.duration", ofWork, "From the first attempt to show a message until it was shown.")
	histogram(&all.state, "handover.state.duration", ofStates, "How long conversations were in the state that they left.")
	histogram(&all.call, "handover.crisp.call.duration", ofCalls, "Calls to Crisp.")
	return all, errors.Join(errs...)
}

// record measures one activity. No attribute has more than some dozen values.
func (m *metrics) record(ctx context.Context, a *handover.Activity) {
	source := attribute.String("handover.source", a.Conversation.Source)
	count := func(c metric.Int64Counter, with ...attribute.KeyValue) {
		c.Add(ctx, 1, metric.WithAttributes(append(with, source)...))
	}
	took := func(h metric.Float64Histogram, with ...attribute.KeyValue) {
		h.Record(ctx, a.Took.Seconds(), metric.WithAttributes(with...))
	}
	why := attribute.String("handover.why", a.Why)
	effect := attribute.String("handover.effect", a.Effect)
	switch a.Kind {
	case handover.ActivityState:
		took(m.state, source, attribute.String("handover.state", string(a.From)), attribute.String("handover.state.next", string(a.To)),
			attribute.String("handover.end.reason", string(a.Reason)))
	case handover.ActivityAsked:
		count(m.requests, attribute.String("handover.outcome", string(a.Outcome)))
	case handover.ActivityAnswered:
		count(m.answered)
		took(m.answer, source)
	case handover.ActivityRelayed:
		count(m.relayed)
		took(m.relay, source)
	case handover.ActivityDelivered:
		count(m.delivered)
		took(m.delivery, source)
	case handover.ActivityWithheld:
		count(m.withheld, why)
	case handover.ActivityOtherBot:
		count(m.withheld, attribute.String("handover.why", "other_bot"))
	case handover.ActivityNotShown, handover.ActivityNotSent, handover.ActivityGivenUp, handover.ActivityLimited:
		count(m.failures, attribute.String("handover.activity", string(a.Kind)), effect, why)
	case handover.ActivityFault:
		count(m.faults, effect, attribute.String("error.type", errorType(a.Err)))
	case handover.ActivityHook:
		count(m.dropped, why)
	case handover.ActivityEnded:
		count(m.ends, attribute.String("handover.end.reason", string(a.Reason)))
	case handover.ActivityRated:
		count(m.ratings, attribute.String("handover.stars", strconv.Itoa(a.Stars)))
	case handover.ActivityCall:
		with := []attribute.KeyValue{attribute.String("handover.crisp.operation", a.Effect)}
		if a.Err != nil {
			with = append(with, attribute.String("error.type", errorType(a.Err)))
		}
		took(m.call, with...)
	}
}
