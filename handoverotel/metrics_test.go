package handoverotel_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handoverotel"
	"github.com/crisphandover/handover/internal/guide"
)

// allKinds are activities of every kind, with whatever they may have.
var allKinds = []handover.Activity{
	{Kind: handover.ActivityState, From: handover.StateActive, To: handover.StateBot, Reason: handover.EndResolved},
	{Kind: handover.ActivityAsked, Outcome: handover.OutcomeOpening},
	{Kind: handover.ActivityAnswered, MessageID: "m1"},
	{Kind: handover.ActivityRelayed, MessageID: "m1"},
	{Kind: handover.ActivityDelivered, MessageID: "session_1/1"},
	{Kind: handover.ActivityWithheld, Why: "private"},
	{Kind: handover.ActivityOtherBot},
	{Kind: handover.ActivityNotShown, Why: "type"},
	{Kind: handover.ActivityNotSent},
	{Kind: handover.ActivityGivenUp, Effect: "note"},
	{Kind: handover.ActivityFault, Effect: "deliver", Err: errors.New("the user said a secret")},
	{Kind: handover.ActivityHook, Why: "too_many"},
	{Kind: handover.ActivityEnded, Reason: handover.EndResolved},
	{Kind: handover.ActivityRated, Stars: 5},
	{Kind: handover.ActivityCall, Effect: "send message", Err: &handover.APIError{Op: "send message", StatusCode: 503}},
	{Kind: handover.ActivityLimited, Why: "phone"},
}

// health has something for each gauge.
var health = handover.Health{
	At: time.Unix(1000, 0), Running: true, LastPoll: time.Unix(990, 0), Queues: map[string]handover.QueueHealth{"to_user": {Waiting: 2, Running: 3}},
	Store:    handover.StoreHealth{Failing: true},
	Websites: []handover.WebsiteHealth{{ID: "website", LastHook: time.Unix(900, 0), CaughtUp: time.Unix(600, 0), CatchUpEvery: 180 * time.Second, Lag: 220 * time.Second, Held: true}},
}

// measured has all of them observed, and returns what the SDK and Prometheus have then.
func measured(t *testing.T) (metricdata.ScopeMetrics, map[string]*dto.MetricFamily) {
	t.Helper()
	registry := prometheus.NewRegistry()
	exported, err := exporter.New(exporter.WithRegisterer(registry))
	require.NoError(t, err)
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithReader(exported))
	telemetry, err := handoverotel.New(handoverotel.Options{MeterProvider: provider})
	require.NoError(t, err)
	stop, err := telemetry.Watch(func() handover.Health { return health })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	for _, a := range allKinds {
		a.Conversation, a.Took, a.At = handover.Conversation{Source: "web", ID: "+49 170 1234567"}, time.Second, time.Now()
		telemetry.Observe(t.Context(), a)
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	require.Len(t, all.ScopeMetrics, 1)
	gathered, err := registry.Gather()
	require.NoError(t, err)
	families := map[string]*dto.MetricFamily{}
	for _, f := range gathered {
		families[f.GetName()] = f
	}
	delete(families, "target_info")
	return all.ScopeMetrics[0], families
}

// labelsOf are the labels that a family has, but for those that name its scope.
func labelsOf(f *dto.MetricFamily) []string {
	all := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !strings.HasPrefix(l.GetName(), "otel_scope_") {
				all[l.GetName()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// TestEveryKindIsMeasured has an activity of each kind change something.
func TestEveryKindIsMeasured(t *testing.T) {
	source, err := os.ReadFile("../activity.go")
	require.NoError(t, err)
	kinds := regexp.MustCompile(`(?m)^\tActivity\w+ +ActivityKind = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	require.Len(t, allKinds, len(kinds))
	for _, a := range allKinds {
		reader := sdkmetric.NewManualReader()
		telemetry, err := handoverotel.New(handoverotel.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
		require.NoError(t, err)
		telemetry.Observe(t.Context(), a)
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &all))
		require.Len(t, all.ScopeMetrics, 1, a.Kind)
	}
}

// TestGauges reads the Health at each collection, and nothing after the end.
func TestGauges(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	telemetry, err := handoverotel.New(handoverotel.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	require.NoError(t, err)
	now := health
	stop, err := telemetry.Watch(func() handover.Health { return now })
	require.NoError(t, err)
	collect := func() map[string]float64 {
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &all))
		found := map[string]float64{}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				switch data := m.Data.(type) {
				case metricdata.Gauge[int64]:
					for _, p := range data.DataPoints {
						state, _ := p.Attributes.Value("handover.job.state")
						found[strings.TrimSpace(m.Name+" "+state.AsString())] = float64(p.Value)
					}
				case metricdata.Gauge[float64]:
					for _, p := range data.DataPoints {
						found[m.Name] = p.Value
					}
				}
			}
		}
		return found
	}
	require.Equal(t, map[string]float64{
		"handover.jobs waiting": 2, "handover.jobs running": 3, "handover.poll.age": 10, "handover.store.failing": 1,
		"handover.hook.age": 100, "handover.catch_up.lag": 220, "handover.crisp.held": 1,
	}, collect())
	now = handover.Health{At: time.Unix(2000, 0), Websites: []handover.WebsiteHealth{{ID: "website"}}} // nothing ever happened
	require.Equal(t, map[string]float64{"handover.store.failing": 0, "handover.catch_up.lag": 0, "handover.crisp.held": 0}, collect())
	require.NoError(t, stop())
	require.Empty(t, collect())
}

// TestOneWatch refuses a second Watch until the first is stopped. A stop that is called again ends no later one.
func TestOneWatch(t *testing.T) {
	telemetry, err := handoverotel.New(handoverotel.Options{MeterProvider: sdkmetric.NewMeterProvider()})
	require.NoError(t, err)
	watch := func() (func() error, error) {
		return telemetry.Watch(func() handover.Health { return health })
	}
	first, err := watch()
	require.NoError(t, err)
	_, err = watch()
	require.ErrorContains(t, err, "already")
	require.NoError(t, first())
	second, err := watch()
	require.NoError(t, err)
	require.NoError(t, first())
	_, err = watch()
	require.ErrorContains(t, err, "already")
	require.NoError(t, second())
}

// TestMetricsHoldNoIDs looks at every attribute.
func TestMetricsHoldNoIDs(t *testing.T) {
	_, families := measured(t)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				require.NotRegexp(t, `1234567|secret|m1|session_`, l.GetValue(), "%s of %s", l.GetName(), f.GetName())
			}
		}
	}
}

// TestDocumentedMetrics holds the table of docs/observability.md against the metrics: names, units, names in
// Prometheus, and labels.
func TestDocumentedMetrics(t *testing.T) {
	text, err := os.ReadFile("../docs/observability.md")
	require.NoError(t, err)
	scope, families := measured(t)
	units := map[string]string{}
	for _, m := range scope.Metrics {
		units[m.Name] = m.Unit
		require.NotEmpty(t, m.Description, m.Name)
	}
	code := regexp.MustCompile("`([^`]+)`")
	inCode := func(cell string) (all []string) {
		for _, span := range code.FindAllStringSubmatch(cell, -1) {
			all = append(all, span[1])
		}
		return all
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(cells[1], " `handover.") {
			continue
		}
		name, unit, prom := inCode(cells[1])[0], inCode(cells[2])[0], inCode(cells[3])[0]
		require.Equal(t, units[name], unit, name)
		delete(units, name)
		require.Contains(t, families, prom)
		require.Equal(t, labelsOf(families[prom]), slices.Sorted(slices.Values(inCode(cells[4]))), "the labels of %s", prom)
		delete(families, prom)
	}
	_, alerts, found := strings.Cut(string(text), "```promql\n")
	require.True(t, found)
	alerts, _, _ = strings.Cut(alerts, "```")
	_, all := measured(t)
	for query := range strings.Lines(alerts) {
		checkQuery(t, all, query, map[string]bool{})
	}
	require.Empty(t, units, "metrics that the table lacks")
	require.Empty(t, families, "metrics in Prometheus that the table lacks")
}

// TestDocumentedCode finds the code of docs/observability.md in the example, or in the tests of the root.
func TestDocumentedCode(t *testing.T) {
	guide.Compiled(t, "../docs/observability.md", "go", "example_test.go", "../internal/pages/readme_test.go")
}

// TestDashboard holds each query of the dashboard against the metrics that exist, and their labels.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("grafana/handover.json")
	require.NoError(t, err)
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.UID)
	_, families := measured(t)
	used, ids := map[string]bool{}, map[int]bool{}
	for _, panel := range dashboard.Panels {
		require.False(t, ids[panel.ID], "two panels have the id %d", panel.ID)
		ids[panel.ID] = true
		if panel.Type == "row" {
			continue
		}
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			checkQuery(t, families, target.Expr, used)
		}
	}
	values := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	for _, v := range dashboard.Templating.List {
		if parts := values.FindStringSubmatch(v.Query); v.Name != "datasource" {
			require.NotNil(t, parts, v.Query)
			require.Contains(t, labelsOf(familyOf(families, parts[1])), parts[2])
		}
	}
	for name := range families {
		require.True(t, used[name], "no panel shows %s", name)
	}
}

var (
	// selector is a metric with its matchers; grouping the labels of "by (…)".
	selector = regexp.MustCompile(`(handover_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
)

// checkQuery requires that the metrics of a query exist, and that its labels are theirs.
func checkQuery(t *testing.T, families map[string]*dto.MetricFamily, query string, used map[string]bool) {
	t.Helper()
	known := []string{"le", "job", "instance"}
	metrics := 0
	bare := grouping.ReplaceAllString(query, "")
	for _, found := range selector.FindAllStringSubmatch(bare, -1) {
		name := found[1]
		labels := labelsOf(familyOf(families, name))
		if labels == nil {
			require.Contains(t, families, name, query)
		}
		metrics++
		used[familyOf(families, name).GetName()] = true
		for _, m := range matcher.FindAllStringSubmatch(quoted.ReplaceAllString(found[2], ""), -1) {
			require.Contains(t, append(labels, known...), m[1], query)
		}
		known = append(known, labels...)
	}
	require.Positive(t, metrics, query)
	for _, by := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			require.Contains(t, known, strings.TrimSpace(label), query)
		}
	}
}

// familyOf returns the family of a series, which in a histogram has a name of its own; nil if there is none.
func familyOf(families map[string]*dto.MetricFamily, series string) *dto.MetricFamily {
	if f := families[series]; f != nil && f.GetType() != dto.MetricType_HISTOGRAM {
		return f
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(series, suffix); cut && families[base].GetType() == dto.MetricType_HISTOGRAM {
			return families[base]
		}
	}
	return nil
}

// TestErrorTypes has few values, whatever the errors say.
func TestErrorTypes(t *testing.T) {
	for want, err := range map[string]error{
		"429": &handover.APIError{StatusCode: 429}, "network": &handover.APIError{Err: errors.New("reset")}, "timeout": context.DeadlineExceeded,
		"user_away": handover.ErrUserAway, "unsupported": errors.ErrUnsupported, "_OTHER": errors.New("anything"),
	} {
		require.Equal(t, want, handoverotel.ErrorType(err))
	}
}
