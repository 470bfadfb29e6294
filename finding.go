package handover

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crisphandover/handover/internal/checkup"
)

// Severity says how bad a Finding is.
type Severity string

// The severities, the worst first.
const (
	SeverityProblem Severity = "problem" // handovers fail, or will, until a person mends it
	SeverityWarning Severity = "warning" // it works, and not as most hosts want it
	SeverityUnknown Severity = "unknown" // nothing tells, or not now: Do says where to look
	SeverityOK      Severity = "ok"
)

// severities in the order of a Report.
var severities = []Severity{SeverityProblem, SeverityWarning, SeverityUnknown, SeverityOK}

// Finding is what Check found out about one thing. It holds no secret, and nothing that people wrote.
//
//	Name                 what was looked at
//	crisp                Crisp answers at Config.BaseURL
//	token                Crisp takes Config.Token
//	quota                calls made today, of Limits.DailyCalls; whether Crisp asked for fewer
//	website              the token speaks for the website
//	presence             Crisp says whether somebody is there, which needs the scope website:availability (read)
//	read_conversations   the token has the scope website:conversation:sessions (read)
//	read_messages        … website:conversation:messages (read)
//	read_states          … website:conversation:states (read)
//	write_scopes         a reminder of the scopes that only a change in Crisp could show
//	hooks                Config.Webhook can verify the website's hooks
//	hooks_seen           a hook of the website has come, to any replica
//	notes                the workspace's plan has private notes
//	hugo                 a reminder of Crisp's own AI agent, of which Crisp's API does not tell
//	store                Config.Store answers
//	store_durable        the state outlives the process
//	clock                this process's clock agrees with the store's
//	run                  Run works in this process
//	texts                Config.Texts says what users must be told
//	history              agents can open Config.History.URL, as far as its text tells
//
// A Report has each name once, and those from website to hugo that are about a website once for each.
type Finding struct {
	// Name names what was looked at. It does not change from version to version.
	Name     string   `json:"name"`
	Severity Severity `json:"severity"`
	// WebsiteID is the website that it is about; empty: none, or all.
	WebsiteID string `json:"website_id,omitempty"`
	// Says is what was found, in one sentence.
	Says string `json:"says"`
	// Do is what to do; empty: nothing.
	Do string `json:"do,omitempty"`
	// Err is the error of Crisp or of the store behind it, if there is one.
	Err error `json:"-"`
}

// String returns the finding in one line.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", f.Severity, f.Name)
	if f.WebsiteID != "" {
		fmt.Fprintf(&b, " of website %s", f.WebsiteID)
	}
	b.WriteString(": " + f.Says)
	if f.Do != "" {
		b.WriteString(" " + f.Do)
	}
	return b.String()
}

// Report is all that Check found, the worst first. It prints as a table, and encodes as a list in JSON.
type Report []Finding

// Err returns an error that names every finding of SeverityProblem, with what to do, and wraps their
// errors; nil if there is none.
func (r Report) Err() error {
	var problems []error
	for _, f := range r {
		if f.Severity == SeverityProblem {
			problems = append(problems, &findingError{f})
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("handover: check: %w", errors.Join(problems...))
}

// findingError is a Finding as an error.
type findingError struct{ Finding }

// Error is what the finding says, why, where no answer says so, and what to do.
func (e *findingError) Error() string {
	parts := []string{e.Name + ":", e.Says}
	why := e.Err
	if api := apiError(e.Err); api != nil {
		why = api.Err
	}
	if why != nil {
		parts = append(parts, "("+why.Error()+")")
	}
	if e.Do != "" {
		parts = append(parts, e.Do)
	}
	return strings.Join(parts, " ")
}

// Unwrap returns the error that the finding is about.
func (e *findingError) Unwrap() error { return e.Err }

// String returns a table, a line for each finding, and below it what to do.
func (r Report) String() string {
	width, several := 0, r.severalWebsites()
	for _, f := range r {
		width = max(width, len(f.Name))
	}
	var b strings.Builder
	for _, f := range r {
		fmt.Fprintf(&b, "%-7s  %-*s  %s", f.Severity, width, f.Name, f.Says)
		if several && f.WebsiteID != "" {
			fmt.Fprintf(&b, " (website %s)", f.WebsiteID)
		}
		b.WriteString("\n")
		if f.Do != "" {
			fmt.Fprintf(&b, "%-7s  %-*s  -> %s\n", "", width, "", f.Do)
		}
	}
	return b.String()
}

// severalWebsites reports whether the findings are about more than one.
func (r Report) severalWebsites() bool {
	first := ""
	for _, f := range r {
		if first = cmp.Or(first, f.WebsiteID); f.WebsiteID != "" && f.WebsiteID != first {
			return true
		}
	}
	return false
}

// reportOf makes the report of what was found: the worst first, and in the order of the rows else.
func reportOf(rows []checkup.Row) Report {
	r := make(Report, len(rows))
	for i, row := range rows {
		r[i] = Finding{Name: row.Name, Severity: Severity(row.Severity), WebsiteID: row.WebsiteID, Says: row.Says, Do: row.Do, Err: row.Err}
	}
	slices.SortStableFunc(r, func(a, b Finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	return r
}
