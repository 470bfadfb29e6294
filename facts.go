package handover

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
)

// facts are what Check has gathered. What they say is decided here.
type facts struct {
	cfg   *Config
	now   time.Time // the store's
	store storeFacts
	run   runFacts
	texts Texts
	sites []siteFacts
	reads []readFacts
}

// storeFacts are what one load from the store told.
type storeFacts struct {
	err     error
	took    time.Duration
	ahead   time.Duration // of this process's clock, the store's is
	clocked bool          // the store has a clock of its own
}

// runFacts say what is known of Run in this process.
type runFacts struct {
	runs   bool
	missed bool // something was due, and nobody worked on it
}

// siteFacts are what is known of one website.
type siteFacts struct {
	id        string
	err       error // of reading the website
	there     Presence
	thereErr  error
	recordErr error
	calls     int64 // today
	noNotes   bool
	hook      time.Time // the last that came; zero: none
	refused   error     // why the last hook was refused that this process could not verify
}

// readFacts are what came of one read of Crisp that shows a scope.
type readFacts struct {
	name, op string
	err      error
}

var (
	errNotAsked       = errors.New("handover: it was not asked")
	errNoConversation = errors.New("handover: there is no conversation to read yet")
)

// report says what the facts mean.
func (f *facts) report() Report {
	r := Report{f.crisp(), f.token(), f.quota()}
	for i := range f.sites {
		s := &f.sites[i]
		r = append(r, s.website(), s.presence(f.cfg), s.hooks(f.cfg), s.hooksSeen(f.cfg), s.notes(f.cfg), s.hugo())
	}
	for _, read := range f.reads {
		r = append(r, read.scope())
	}
	r = append(r, writeScopes(), f.storeAnswers(), f.durable(), f.clock(), f.running(), f.saysEnough(), f.history())
	r.sort()
	return r
}

// found makes a finding.
func found(name string, s Severity, says, do string) Finding {
	return Finding{Name: name, Severity: s, Says: says, Do: do}
}

// because returns the finding with the error behind it.
func (f Finding) because(err error) Finding { f.Err = err; return f }

// hasAnswered reports whether Crisp answered: an error of 4xx is an answer.
func hasAnswered(err error) bool {
	e := apiError(err)
	return err == nil || e != nil && e.StatusCode/100 == 4
}

// refusesToken reports whether Crisp refuses the token itself.
func refusesToken(err error) bool {
	e := apiError(err)
	return e != nil && (e.StatusCode == http.StatusUnauthorized || e.StatusCode/100 == 4 && (e.Reason == "invalid_session" || e.Reason == "restricted_route_tier"))
}

// asksForLess reports whether Crisp asked for fewer calls.
func asksForLess(err error) bool {
	e := apiError(err)
	return e != nil && (e.StatusCode == http.StatusTooManyRequests || e.StatusCode == 420 || e.StatusCode == http.StatusLocked)
}

// statusOf is the status and the reason of an answer, such as "HTTP 404 website_not_found".
func statusOf(err error) string {
	e := apiError(err)
	if e == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.StatusCode, e.Reason))
}

// heard says what Crisp did when it was asked.
func heard(err error) string {
	switch e := apiError(err); {
	case e == nil || e.StatusCode == 0:
		return "gave no answer"
	case e.StatusCode/100 == 2:
		return fmt.Sprintf("answered HTTP %d, without the content that it documents", e.StatusCode)
	}
	return "answered " + statusOf(err)
}

// advice is what to do about an error of Crisp's.
func advice(err error) string {
	if e := apiError(err); e != nil {
		return sentence(e.crisp().Advice())
	}
	return ""
}

// unasked is the finding for what Crisp did not tell.
func unasked(name string, err error) Finding {
	says := "Not known: Crisp " + heard(err) + "."
	switch {
	case errors.Is(err, errNotAsked):
		return found(name, SeverityUnknown, "Not asked: something else must be mended first.", "Mend what is a problem, and run Check again.")
	case asksForLess(err):
		says = "Not asked: Crisp asked for fewer calls."
	}
	return found(name, SeverityUnknown, says, "Run Check again later.").because(err)
}

// first returns the first error of a website that fits, or nil.
func (f *facts) first(fits func(error) bool) error {
	for _, s := range f.sites {
		if s.err != nil && fits(s.err) {
			return s.err
		}
	}
	return nil
}

// anyError returns an error of any call that fits, or nil.
func (f *facts) anyError(fits func(error) bool) error {
	all := []error{f.first(fits)}
	for _, s := range f.sites {
		all = append(all, s.thereErr)
	}
	for _, r := range f.reads {
		all = append(all, r.err)
	}
	if i := slices.IndexFunc(all, func(err error) bool { return err != nil && fits(err) }); i >= 0 {
		return all[i]
	}
	return nil
}

func (f *facts) crisp() Finding {
	if slices.ContainsFunc(f.sites, func(s siteFacts) bool { return hasAnswered(s.err) }) {
		return found("crisp", SeverityOK, "Crisp answers.", "")
	}
	err := f.first(func(error) bool { return true })
	return found("crisp", SeverityProblem, "Crisp "+heard(err)+".",
		"Try again in a minute. If it stays, check Config.BaseURL, the network, and Config.HTTPClient.").because(err)
}

func (f *facts) token() Finding {
	if err := f.first(refusesToken); err != nil {
		return found("token", SeverityProblem, "Crisp refuses the token: "+statusOf(err)+".", advice(err)).because(err)
	}
	takes := func(s siteFacts) bool {
		e := apiError(s.err)
		return s.err == nil || e != nil && (e.needsPerson() || e.StatusCode == http.StatusNotFound)
	}
	if slices.ContainsFunc(f.sites, takes) {
		return found("token", SeverityOK, "Crisp takes the token.", "")
	}
	return unasked("token", f.first(func(error) bool { return true }))
}

// nearQuota is from which part of the quota on Check warns, in percent.
const nearQuota = 80

func (f *facts) quota() Finding {
	if err := f.anyError(asksForLess); err != nil {
		says := "Crisp asked for fewer calls: " + statusOf(err) + "."
		if wait := apiError(err).pause; wait > 0 {
			says += fmt.Sprintf(" Nothing is called for another %s.", wait.Round(time.Second))
		}
		return found("quota", SeverityProblem, says, "Wait. If it comes again, have Crisp raise the quota, and set Limits.DailyCalls to it.").because(err)
	}
	var sum int64
	for _, s := range f.sites {
		if s.recordErr != nil {
			return found("quota", SeverityUnknown, "Not known: the store, which has the count of calls, does not answer.", "Run Check again once it does.").because(s.recordErr)
		}
		sum += s.calls
	}
	says := fmt.Sprintf("%d calls to Crisp were made today, of %d that the token may make.", sum, f.cfg.Limits.DailyCalls)
	if sum*100 < int64(f.cfg.Limits.DailyCalls)*nearQuota {
		return found("quota", SeverityOK, says, "")
	}
	return found("quota", SeverityWarning, says, "Have Crisp raise the quota, and set Limits.DailyCalls to it; Policy.NoMarks saves calls.")
}

// is returns a finding about the website.
func (s *siteFacts) is(f Finding) Finding { f.WebsiteID = s.id; return f }

// usable reports whether more can be asked about the website.
func (s *siteFacts) usable() bool {
	e := apiError(s.err)
	return s.err == nil || e != nil && e.StatusCode == http.StatusForbidden && !refusesToken(s.err)
}

func (s *siteFacts) website() Finding {
	e := apiError(s.err)
	switch {
	case s.err == nil:
		return s.is(found("website", SeverityOK, "The token speaks for the website.", ""))
	case refusesToken(s.err):
		return s.is(unasked("website", errNotAsked))
	case e == nil, e.StatusCode/100 != 4, asksForLess(s.err):
		return s.is(unasked("website", s.err))
	}
	do := advice(s.err)
	if do == "" {
		do = "Check the website's id, and that the token is of this website, or the plugin installed on it."
	}
	return s.is(found("website", SeverityProblem, "Crisp does not let the token read the website: "+statusOf(s.err)+".", do).because(s.err))
}

func (s *siteFacts) presence(cfg *Config) Finding {
	e := apiError(s.thereErr)
	switch {
	case s.thereErr == nil && s.there == PresenceOnline:
		return s.is(found("presence", SeverityOK, "Crisp says that somebody is there.", ""))
	case s.thereErr == nil && s.there == PresenceAway:
		do := "Who asks for a human now is told so. Be online in Crisp, or set its opening hours."
		if cfg.Presence != nil {
			do += " Config.Presence has the last word."
		}
		return s.is(found("presence", SeverityWarning, "Crisp says that nobody is there.", do))
	case s.thereErr == nil:
		return s.is(found("presence", SeverityUnknown, "Crisp says neither that somebody is there nor that nobody is.", "Set Config.Presence, or Policy.RefuseUnknown as you want it."))
	case e == nil || !e.needsPerson():
		return s.is(unasked("presence", s.thereErr))
	}
	f := found("presence", SeverityWarning, "Crisp does not tell whether somebody is there: "+statusOf(s.thereErr)+".", advice(s.thereErr)).because(s.thereErr)
	if cfg.Policy.RefuseUnknown {
		f.Severity, f.Says = SeverityProblem, f.Says+" With Policy.RefuseUnknown nobody is handed over."
	}
	return s.is(f)
}

func (s *siteFacts) hooks(cfg *Config) Finding {
	signed, keyed := len(cfg.Webhook.Secrets) > 0, len(cfg.Webhook.URLKeys[s.id]) > 0
	switch {
	case !signed && !keyed && !s.hook.IsZero():
		return s.is(found("hooks", SeverityOK, "Hooks come by HandleEvent: ServeHTTP, which would refuse them, is not used.", ""))
	case !signed && !keyed:
		return s.is(found("hooks", SeverityWarning, "No hook of the website can be verified: ServeHTTP refuses all, and agents' messages come minutes late.",
			"Set Webhook.Secrets for a plugin's hooks, or Webhook.URLKeys for the website's own, unless you receive hooks with ReadEvent and HandleEvent."))
	case !keyed && cfg.Token.Tier == TierWebsite && s.hook.IsZero():
		return s.is(found("hooks", SeverityWarning, "Only signed hooks can be verified, and Crisp signs none that are set up in a website's settings.",
			"Set Webhook.URLKeys, and end the hooks' URL in Crisp with ?key= and the key, unless a plugin sends the hooks."))
	}
	return s.is(found("hooks", SeverityOK, "Hooks of the website can be verified.", ""))
}

func (s *siteFacts) hooksSeen(*Config) Finding {
	const look = "Write in a conversation in Crisp. If no hook comes, compare the URL in Crisp's settings with where ServeHTTP is mounted, and see that message:send, message:received, message:updated and session:set_state are ticked there."
	switch {
	case !s.hook.IsZero():
		return s.is(found("hooks_seen", SeverityOK, "The last hook came at "+s.hook.UTC().Format(time.RFC3339)+".", ""))
	case s.refused != nil:
		return s.is(found("hooks_seen", SeverityWarning, "Hooks came, and each was refused: "+strings.TrimPrefix(s.refused.Error(), "handover: ")+".",
			"If they were Crisp's, agents' messages come minutes late until this is mended.").because(s.refused))
	}
	return s.is(found("hooks_seen", SeverityUnknown, "No hook of the website has come yet.", look))
}

func (s *siteFacts) notes(cfg *Config) Finding {
	switch {
	case s.noNotes && cfg.Policy.NoteFallback == NoteInData:
		return s.is(found("notes", SeverityOK, "The plan has no private notes; they go into the data, as Policy.NoteFallback says.", ""))
	case s.noNotes:
		return s.is(found("notes", SeverityWarning, "The plan has no private notes: agents are not told what notes would say.", "Set Policy.NoteFallback to NoteInData, or take a plan with notes."))
	}
	return s.is(found("notes", SeverityUnknown, "Whether the plan has private notes shows when the first is posted: Crisp has refused none today.",
		"If the plan has none, set Policy.NoteFallback to NoteInData."))
}

func (s *siteFacts) hugo() Finding {
	return s.is(found("hugo", SeverityUnknown, "Crisp's API does not tell whether Crisp's own AI agent, Hugo, answers conversations before your agents do.",
		`If the workspace has it, set AI Agent > Agent > Activation to "Route to Inbox", or give each Request an Inbox or an Operator.`))
}

// scope says what the read tells of the token's scopes.
func (r readFacts) scope() Finding {
	scope := crispapi.Scopes()[r.op]
	e := apiError(r.err)
	switch {
	case r.err == nil:
		return found(r.name, SeverityOK, "The token may do what needs the scope "+scope+".", "")
	case errors.Is(r.err, errNoConversation):
		return found(r.name, SeverityUnknown, "There is no conversation yet with which to try the scope "+scope+".", "See in Crisp that the token has it, and run Check again later.")
	case e == nil || !e.needsPerson():
		return unasked(r.name, r.err)
	}
	f := found(r.name, SeverityProblem, "Crisp refuses what needs the scope "+scope+": "+statusOf(r.err)+".", advice(r.err)).because(r.err)
	if r.name == "read_states" {
		f.Severity, f.Says = SeverityWarning, f.Says+" A plugin's hooks do not tell then that a conversation was resolved."
	}
	return f
}

// writeScopes reminds of what no read can show.
func writeScopes() Finding {
	const routing = "website:conversation:routing (write)"
	var all []string
	for _, scope := range crispapi.Scopes() {
		if strings.HasSuffix(scope, "(write)") && scope != routing && !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	slices.Sort(all)
	return found("write_scopes", SeverityUnknown, "Whether the token may write shows only when something is written.", "See in Crisp that it has the scopes "+strings.Join(all, ", ")+"; and "+routing+", if a Request has an Operator.")
}

// What the store may take for one load, and how wrong a clock may be, before Check warns.
const (
	slowStore  = time.Second
	wrongClock = 5 * time.Second
)

func (f *facts) storeAnswers() Finding {
	switch {
	case f.store.err != nil:
		return found("store", SeverityProblem, "The store does not answer as it should.", "See that the database runs, that this process reaches it, and that its tables are made.").because(f.store.err)
	case f.store.took > slowStore:
		return found("store", SeverityWarning, fmt.Sprintf("The store took %s for one load.", f.store.took.Round(time.Millisecond)), "Take a database that is nearer, or less busy: each message costs several saves.")
	}
	return found("store", SeverityOK, "The store answers.", "")
}

func (f *facts) durable() Finding {
	if _, memory := f.cfg.Store.(*MemoryStore); memory {
		return found("store_durable", SeverityWarning, "The state dies with the process: running handovers are forgotten, and their bots speak again.",
			"Set Config.Store to a durable store, such as one of package sqlstore, unless this is a test.")
	}
	return found("store_durable", SeverityOK, "Config.Store is not the MemoryStore: the state outlives the process if your store is durable.", "")
}

func (f *facts) clock() Finding {
	ahead := f.store.ahead
	switch {
	case f.store.err != nil:
		return found("clock", SeverityUnknown, "Not known: the store does not answer.", "Run Check again once it does.")
	case !f.store.clocked:
		return found("clock", SeverityOK, "The store goes by this process's clock.", "")
	case ahead.Abs() <= wrongClock+f.store.took:
		return found("clock", SeverityOK, "This process's clock agrees with the store's.", "")
	}
	how := "ahead of"
	if ahead > 0 {
		how = "behind"
	}
	return found("clock", SeverityWarning, fmt.Sprintf("This process's clock is %s %s the store's. Deadlines go by the store's; Webhook.MaxAge and the history's links by this one.", ahead.Abs().Round(time.Second), how),
		"Have both machines set their clocks by NTP.")
}

func (f *facts) running() Finding {
	switch {
	case f.run.runs:
		return found("run", SeverityOK, "Run works in this process.", "")
	case f.run.missed:
		return found("run", SeverityProblem, "Something was due, and nobody worked on it: Run works on no replica.", "Call go h.Run(ctx), on one replica at least.")
	}
	return found("run", SeverityUnknown, "Run does not work in this process, or not yet.", "Call go h.Run(ctx), on one replica at least: without it no deadline passes, and nothing is tried again.")
}

func (f *facts) saysEnough() Finding {
	silent := f.texts.silent()
	if len(silent) == 0 {
		return found("texts", SeverityOK, "Users are told all that happens.", "")
	}
	return found("texts", SeverityWarning, "Config.Texts leaves out, and so users are not told: "+strings.Join(silent, ", ")+".",
		"Start from DefaultTexts, and change what you want, unless the channel says it otherwise.")
}

func (f *facts) history() Finding {
	u, err := url.Parse(f.cfg.History.URL)
	switch {
	case f.cfg.History.URL == "" || err != nil:
		return found("history", SeverityOK, "There is no history page of the library's: Config.History.URL is empty.", "")
	case local(u.Hostname()):
		return found("history", SeverityWarning, "Agents cannot open Config.History.URL: its host is of this machine or of a private network.", "Write the URL at which agents' browsers reach HistoryHandler.")
	case u.Scheme != "https":
		return found("history", SeverityWarning, "Config.History.URL is not https: whoever listens on the way can read conversations.", "Serve the page over https.")
	}
	return found("history", SeverityOK, "Config.History.URL looks as if agents can open it; Check does not call it.", "")
}

// local reports whether a host is one that only this machine or its network reaches.
func local(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast())
}
