package handoverotel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/crisphandover/handover"
)

// gauges are what a Health says, now.
type gauges struct {
	jobs, failing, held          metric.Int64ObservableGauge
	pollAge, hookAge, catchUpLag metric.Float64ObservableGauge
}

func newGauges(m metric.Meter) (*gauges, error) {
	g, errs := new(gauges), []error(nil)
	number := func(to *metric.Int64ObservableGauge, name, unit, description string) {
		var err error
		*to, err = m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		errs = append(errs, err)
	}
	seconds := func(to *metric.Float64ObservableGauge, name, description string) {
		var err error
		*to, err = m.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description))
		errs = append(errs, err)
	}
	number(&g.jobs, "handover.jobs", "{job}", "Jobs of this process.")
	number(&g.failing, "handover.store.failing", "{store}", "1 while the store fails.")
	number(&g.held, "handover.crisp.held", "{website}", "1 while calls to Crisp for the website are held back.")
	seconds(&g.pollAge, "handover.poll.age", "Since Run last heard from the store what is due.")
	seconds(&g.hookAge, "handover.hook.age", "Since a hook of the website last came, to any replica.")
	seconds(&g.catchUpLag, "handover.catch_up.lag", "By how much catch-up through the list of conversations is late.")
	return g, errors.Join(errs...)
}

// Watch measures how a process is, each time that metrics are collected: health is Handover.Health, which costs nothing. It
// ends with stop.
//
// A Telemetry watches one Handover at a time, since two would write the same series: a second Watch fails until the first is
// stopped. For a second Handover, make another Telemetry on a MeterProvider whose resource tells them apart.
func (t *Telemetry) Watch(health func() handover.Health) (stop func() error, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watching {
		return nil, errors.New("handover: handoverotel.Watch: this Telemetry watches a Handover already: stop that first, or make another Telemetry")
	}
	g := t.gauges
	registration, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g.observe(o, health())
		return nil
	}, g.jobs, g.failing, g.held, g.pollAge, g.hookAge, g.catchUpLag)
	if err != nil {
		return nil, fmt.Errorf("handover: handoverotel.Watch: %w", err)
	}
	t.watching = true
	stopped := false
	return func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		if stopped {
			return nil
		}
		if err := registration.Unregister(); err != nil {
			return fmt.Errorf("handover: handoverotel.Watch: stop: %w", err)
		}
		stopped, t.watching = true, false
		return nil
	}, nil
}

// observe tells what is known; what never happened has no age.
func (g *gauges) observe(o metric.Observer, h handover.Health) {
	age := func(of metric.Float64Observable, since time.Time, with ...metric.ObserveOption) {
		if !since.IsZero() {
			o.ObserveFloat64(of, max(h.At.Sub(since), 0).Seconds(), with...)
		}
	}
	for name, queue := range h.Queues {
		of := attribute.String("handover.queue", name)
		o.ObserveInt64(g.jobs, int64(queue.Waiting), metric.WithAttributes(of, attribute.String("handover.job.state", "waiting")))
		o.ObserveInt64(g.jobs, int64(queue.Running), metric.WithAttributes(of, attribute.String("handover.job.state", "running")))
	}
	if h.Running {
		age(g.pollAge, h.LastPoll)
	}
	o.ObserveInt64(g.failing, one(h.Store.Failing))
	for _, w := range h.Websites {
		of := metric.WithAttributes(attribute.String("handover.website", w.ID))
		age(g.hookAge, w.LastHook, of)
		o.ObserveFloat64(g.catchUpLag, w.Lag.Seconds(), of)
		o.ObserveInt64(g.held, one(w.Held), of)
	}
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
