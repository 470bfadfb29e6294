package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover/internal/checkup"
	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/website"
)

const (
	// checkTimeout bounds Check.
	checkTimeout = 30 * time.Second
	// checksAtOnce is how many websites Check asks about at the same time.
	checksAtOnce = 8
)

// Check finds out whether everything is set up for handovers, and says of each thing what was found and what
// to do. Finding lists what it looks at.
//
//	if err := h.Check(ctx).Err(); err != nil { … } // what must be mended
//	fmt.Print(h.Check(ctx))                        // all that was found
//
// It only reads: nothing changes in Crisp, nobody is told, and what it reads of a conversation is thrown
// away. It calls Crisp also where calls are held back after refusals, so that a person who has mended the
// token sees it at once, and calls go on; not while Crisp has asked for fewer calls. It costs five calls to
// Crisp, and two for each further website, and ends after 30 seconds: what was not answered by then is
// unknown.
func (h *Handover) Check(ctx context.Context) Report {
	if err := h.made(); err != nil {
		return Report{{Name: "handover", Severity: SeverityProblem, Says: "There is no Handover.", Do: "Make it with New.", Err: err}}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	texts := h.host.textsOf(Session{})
	f := checkup.Facts{
		DailyCalls: h.cfg.Limits.DailyCalls, MaxAge: h.cfg.Webhook.MaxAge, HasPresence: h.cfg.Presence != nil, RefuseUnknown: h.cfg.Policy.RefuseUnknown,
		NotesInData: h.cfg.Policy.NoteFallback == NoteInData, HistoryURL: h.cfg.History.URL, FilesURL: h.cfg.Files.URL, Silent: texts.silent(),
		Store: h.checkStore(ctx), Sites: h.checkSites(ctx),
	}
	f.Run.Works, f.Run.Missed = h.overdue.Works()
	var api *crispapi.Client // of the first website that answers
	if i := slices.IndexFunc(f.Sites, checkup.Site.Usable); i >= 0 {
		api = h.sites[f.Sites[i].ID].API
	}
	f.Reads = checkup.AskScopes(ctx, api)
	return reportOf(f.Rows())
}

// checkStore loads a record, and compares the store's clock with this process's.
func (h *engine) checkStore(ctx context.Context) (f checkup.Store) {
	begun := h.store.process()
	r, err := h.store.load(ctx, websitePrefix+h.cfg.WebsiteID)
	f.Took, f.Err = h.store.process().Sub(begun), err
	if f.Clocked = err == nil && !r.Now.IsZero(); f.Clocked {
		f.Ahead = r.Now.Sub(begun.Add(f.Took / 2))
	}
	_, f.Memory = h.cfg.Store.(*MemoryStore)
	return f
}

// checkSites asks about all websites, some at a time.
func (h *engine) checkSites(ctx context.Context) []checkup.Site {
	ids := h.cfg.websites()
	all := make([]checkup.Site, len(ids))
	free := make(chan struct{}, checksAtOnce)
	var asking sync.WaitGroup
	for i, id := range ids {
		all[i] = checkup.Site{ID: id, Err: checkup.ErrNotAsked, ThereErr: checkup.ErrNotAsked}
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			h.checkSite(ctx, h.sites[id], &all[i])
		})
	}
	asking.Wait()
	return all
}

// checkSite asks Crisp about a website, and reads what all replicas know of it.
func (h *engine) checkSite(ctx context.Context, s *website.Site, f *checkup.Site) {
	f.Signed, f.Keyed, f.WebsiteToken = len(h.cfg.Webhook.Secrets) > 0, len(h.cfg.Webhook.URLKeys[s.ID]) > 0, h.cfg.Token.Tier == TierWebsite
	w, err := s.Read(ctx) // first: other replicas may know that Crisp has asked for fewer calls
	f.RecordErr, f.Hook, f.NoNotes, f.Refused = err, s.LastHook(&w), h.store.now().Before(w.NoNotes), h.refusals.reason()
	checkup.AskWebsite(ctx, s.API, f)
	f.Calls = s.API.Calls.Load() + w.CallsOf(h.store.now())
}

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
//	clock                this process's clock agrees with Crisp's
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
//	store_clock          this process's clock agrees with the store's
//	run                  Run works in this process
//	texts                Config.Texts says what users must be told
//	history              agents can open Config.History.URL, as far as its text tells
//	files                the same of Config.Files.URL
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
