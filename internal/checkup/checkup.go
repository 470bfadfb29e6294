// Package checkup says whether a bot that hands conversations over in Crisp is set up well. Facts are what was found out
// about Crisp, the token, web hooks, the store and so on; Rows says of each what it means and what to do. AskWebsite and
// AskScopes find out about Crisp by calls that only read. Settings are named as package handover names them.
package checkup

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/weblink"
)

// Row is what was found about one thing.
type Row struct {
	Name, Severity string
	WebsiteID      string // that it is about; empty: none, or all
	Says, Do       string // Do is empty if nothing is to be done
	Err            error  // behind it, if there is one
}

// The severities of a row.
const (
	Problem = "problem"
	Warning = "warning"
	Unknown = "unknown"
	OK      = "ok"
)

// Rows says what the facts mean.
func (f *Facts) Rows() []Row {
	all := []Row{f.crisp(), f.token(), f.quota(), f.clock()}
	for i := range f.Sites {
		s := &f.Sites[i]
		for _, r := range []Row{s.website(), s.presence(f), s.hooks(), s.hooksSeen(), s.notes(f.NotesInData), hugo()} {
			r.WebsiteID = s.ID
			all = append(all, r)
		}
	}
	for _, read := range f.Reads {
		all = append(all, read.scope())
	}
	return append(all, writeScopes(), f.Store.answers(), f.Store.durable(), f.Store.clock(), f.Run.row(), f.texts(), f.history(), f.files())
}

// found makes a row.
func found(name string, severity, says, do string) Row {
	return Row{Name: name, Severity: severity, Says: says, Do: do}
}

// because returns the row with the error behind it.
func (r Row) because(err error) Row { r.Err = err; return r }

// apiError returns Crisp's answer, or why there was none, within err; nil if that is not what it is about.
func apiError(err error) *crispapi.Error {
	var e *crispapi.Error
	errors.As(err, &e)
	return e
}

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
		return sentence(e.Advice())
	}
	return ""
}

// unasked is the row for what Crisp did not tell.
func unasked(name string, err error) Row {
	says := "Not known: Crisp " + heard(err) + "."
	switch {
	case errors.Is(err, ErrNotAsked):
		return found(name, Unknown, "Not asked: something else must be mended first.", "Mend what is a problem, and run Check again.")
	case asksForLess(err):
		says = "Not asked: Crisp asked for fewer calls."
	}
	return found(name, Unknown, says, "Run Check again later.").because(err)
}

func (f *Facts) crisp() Row {
	if i := slices.IndexFunc(f.Sites, isElsewhere); i >= 0 {
		return found("crisp", Problem, "What answers at Config.BaseURL does not know the path: "+statusOf(f.Sites[i].Err)+".",
			"Config.BaseURL must name the version too, as https://api.crisp.chat/v1/ does, and a proxy must pass the path on.").because(f.Sites[i].Err)
	}
	if slices.ContainsFunc(f.Sites, func(s Site) bool { return hasAnswered(s.Err) }) {
		return found("crisp", OK, "Crisp answers.", "")
	}
	err := f.first(func(error) bool { return true })
	return found("crisp", Problem, "Crisp "+heard(err)+".",
		"Try again in a minute. If it stays, check Config.BaseURL, the network, and Config.HTTPClient.").because(err)
}

func (f *Facts) token() Row {
	if err := f.first(refusesToken); err != nil {
		return found("token", Problem, "Crisp refuses the token: "+statusOf(err)+".", advice(err)).because(err)
	}
	takes := func(s Site) bool {
		e := apiError(s.Err)
		return s.Err == nil || e != nil && (e.NeedsPerson() || e.StatusCode == http.StatusNotFound)
	}
	if slices.ContainsFunc(f.Sites, takes) {
		return found("token", OK, "Crisp takes the token.", "")
	}
	return unasked("token", f.first(func(error) bool { return true }))
}

// nearQuota is from which part of the quota on Check warns, in percent.
const nearQuota = 80

func (f *Facts) quota() Row {
	if err := f.anyError(asksForLess); err != nil {
		says := "Crisp asked for fewer calls: " + statusOf(err) + "."
		if wait := apiError(err).Wait; wait > 0 {
			says += fmt.Sprintf(" Nothing is called for another %s.", wait.Round(time.Second))
		}
		return found("quota", Problem, says, "Wait. If it comes again, have Crisp raise the quota, and set Limits.DailyCalls to it.").because(err)
	}
	var sum int64
	for _, s := range f.Sites {
		if s.RecordErr != nil {
			return found("quota", Unknown, "Not known: the store, which has the count of calls, does not answer.", "Run Check again once it does.").because(s.RecordErr)
		}
		sum += s.Calls
	}
	says := fmt.Sprintf("%d calls to Crisp were made today, of %d that the token may make.", sum, f.DailyCalls)
	if sum*100 < int64(f.DailyCalls)*nearQuota {
		return found("quota", OK, says, "")
	}
	return found("quota", Warning, says, "Have Crisp raise the quota, and set Limits.DailyCalls to it; Policy.NoMarks saves calls.")
}

func (s *Site) website() Row {
	e := apiError(s.Err)
	switch {
	case s.Err == nil:
		return found("website", OK, "The token speaks for the website.", "")
	case refusesToken(s.Err):
		return unasked("website", ErrNotAsked)
	case e == nil, e.StatusCode/100 != 4, asksForLess(s.Err):
		return unasked("website", s.Err)
	}
	do := advice(s.Err)
	switch {
	case do == "":
		do = "Check the website's id, and that the token is of this website, or the plugin installed on it."
	case !strings.Contains(do, "website's id"):
		do += " Check the website's id too."
	}
	return found("website", Problem, "Crisp does not let the token read the website: "+statusOf(s.Err)+".", do).because(s.Err)
}

func (s *Site) presence(f *Facts) Row {
	e := apiError(s.ThereErr)
	switch {
	case s.ThereErr == nil && s.There == "online":
		return found("presence", OK, "Crisp says that somebody is there.", "")
	case s.ThereErr == nil && s.There == "away":
		do := "Who asks for a human now is told so. Be online in Crisp, or set its opening hours."
		if f.HasPresence {
			do += " Config.Presence has the last word."
		}
		return found("presence", Warning, "Crisp says that nobody is there.", do)
	case s.ThereErr == nil:
		return found("presence", Unknown, "Crisp says neither that somebody is there nor that nobody is.", "Set Config.Presence, or Policy.RefuseUnknown as you want it.")
	case e == nil || !e.NeedsPerson():
		return unasked("presence", s.ThereErr)
	}
	r := found("presence", Warning, "Crisp does not tell whether somebody is there: "+statusOf(s.ThereErr)+".", advice(s.ThereErr)).because(s.ThereErr)
	if f.RefuseUnknown {
		r.Severity, r.Says = Problem, r.Says+" With Policy.RefuseUnknown nobody is handed over."
	}
	return r
}

func (s *Site) hooks() Row {
	switch {
	case !s.Signed && !s.Keyed && !s.Hook.IsZero():
		return found("hooks", OK, "Hooks come by HandleEvent: ServeHTTP, which would refuse them, is not used.", "")
	case !s.Signed && !s.Keyed:
		return found("hooks", Warning, "No hook of the website can be verified: ServeHTTP refuses all, and agents' messages come minutes late.",
			"Set Webhook.Secrets for a plugin's hooks, or Webhook.URLKeys for the website's own, unless you receive hooks with ReadEvent and HandleEvent.")
	case !s.Keyed && s.WebsiteToken && s.Hook.IsZero():
		return found("hooks", Warning, "Only signed hooks can be verified, and Crisp signs none that are set up in a website's settings.",
			"Set Webhook.URLKeys, and end the hooks' URL in Crisp with ?key= and the key, unless a plugin sends the hooks.")
	}
	return found("hooks", OK, "Hooks of the website can be verified.", "")
}

func (s *Site) hooksSeen() Row {
	const look = "Write in a conversation in Crisp. If no hook comes, compare the URL in Crisp's settings with where ServeHTTP is mounted, and see that message:send, message:received, message:updated and session:set_state are ticked there."
	switch {
	case !s.Hook.IsZero():
		return found("hooks_seen", OK, "The last hook came at "+s.Hook.UTC().Format(time.RFC3339)+".", "")
	case s.Refused != nil:
		return found("hooks_seen", Warning, "Hooks came, and each was refused: "+strings.TrimPrefix(s.Refused.Error(), "handover: ")+".",
			"If they were Crisp's, agents' messages come minutes late until this is mended.").because(s.Refused)
	}
	return found("hooks_seen", Unknown, "No hook of the website has come yet.", look)
}

func (s *Site) notes(inData bool) Row {
	switch {
	case s.NoNotes && inData:
		return found("notes", OK, "The plan has no private notes; they go into the data, as Policy.NoteFallback says.", "")
	case s.NoNotes:
		return found("notes", Warning, "The plan has no private notes: agents are not told what notes would say.", "Set Policy.NoteFallback to NoteInData, or take a plan with notes.")
	}
	return found("notes", Unknown, "Whether the plan has private notes shows when the first is posted: Crisp has refused none today.",
		"If the plan has none, set Policy.NoteFallback to NoteInData.")
}

// hugo reminds of what Crisp does not tell.
func hugo() Row {
	return found("hugo", Unknown, "Crisp's API does not tell whether Crisp's own AI agent, Hugo, answers conversations before your agents do.",
		`If the workspace has it, set AI Agent > Agent > Activation to "Route to Inbox", or give each Request an Inbox or an Operator.`)
}

// scope says what the read tells of the token's scopes.
func (r Read) scope() Row {
	scope := crispapi.Scopes()[r.Op]
	e := apiError(r.Err)
	switch {
	case r.Err == nil:
		return found(r.Name, OK, "The token may do what needs the scope "+scope+".", "")
	case errors.Is(r.Err, errNoConversation):
		return found(r.Name, Unknown, "There is no conversation yet with which to try the scope "+scope+".", "See in Crisp that the token has it, and run Check again later.")
	case e == nil || !e.NeedsPerson():
		return unasked(r.Name, r.Err)
	}
	f := found(r.Name, Problem, "Crisp refuses what needs the scope "+scope+": "+statusOf(r.Err)+".", advice(r.Err)).because(r.Err)
	if r.Name == "read_states" {
		f.Severity, f.Says = Warning, f.Says+" A plugin's hooks do not tell then that a conversation was resolved."
	}
	return f
}

// writeScopes reminds of what no read can show.
func writeScopes() Row {
	const routing = "website:conversation:routing (write)"
	var all []string
	for _, scope := range crispapi.Scopes() {
		if strings.HasSuffix(scope, "(write)") && scope != routing && !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	slices.Sort(all)
	return found("write_scopes", Unknown, "Whether the token may write shows only when something is written.", "See in Crisp that it has the scopes "+strings.Join(all, ", ")+"; and "+routing+", if a Request has an Operator.")
}

// What the store may take for one load, and how wrong a clock may be, before Check warns.
const (
	slowStore  = time.Second
	wrongClock = 5 * time.Second
)

func (f *Facts) clock() Row {
	i := slices.IndexFunc(f.Sites, func(s Site) bool { return s.Clocked })
	if i < 0 {
		return found("clock", Unknown, "Not known: no answer of Crisp's told its time.", setClock)
	}
	ahead := f.Sites[i].Ahead
	says := fmt.Sprintf("This process's clock is %s Crisp's.", apart(ahead))
	switch {
	case f.MaxAge > 0 && ahead.Abs() >= f.MaxAge:
		return found("clock", Problem, says+fmt.Sprintf(" Signed hooks are refused: Webhook.MaxAge is %s.", f.MaxAge), setClock)
	case ahead.Abs() > wrongClock:
		return found("clock", Warning, says+" Webhook.MaxAge and the history's links go by it.", setClock)
	}
	return found("clock", OK, "This process's clock agrees with Crisp's.", "")
}

// setClock is what to do about a clock.
const setClock = "Have this machine set its clock by NTP."

// apart says how a clock stands to another one, which is ahead of it by that much.
func apart(ahead time.Duration) string {
	how := "behind"
	if ahead < 0 {
		how = "ahead of"
	}
	return fmt.Sprintf("%s %s", ahead.Abs().Round(time.Second), how)
}

func (s *Store) answers() Row {
	switch {
	case s.Err != nil:
		return found("store", Problem, "The store does not answer as it should.", "See that the database runs, that this process reaches it, and that its tables are made.").because(s.Err)
	case s.Took > slowStore:
		return found("store", Warning, fmt.Sprintf("The store took %s for one load.", s.Took.Round(time.Millisecond)), "Take a database that is nearer, or less busy: each message costs several saves.")
	}
	return found("store", OK, "The store answers.", "")
}

func (s *Store) durable() Row {
	if s.Memory {
		return found("store_durable", Warning, "The state dies with the process: running handovers are forgotten, and their bots speak again.",
			"Set Config.Store to a durable store, such as one of package sqlstore, unless this is a test.")
	}
	return found("store_durable", OK, "Config.Store is not the MemoryStore: the state outlives the process if your store is durable.", "")
}

func (s *Store) clock() Row {
	ahead := s.Ahead
	switch {
	case s.Err != nil:
		return found("store_clock", Unknown, "Not known: the store does not answer.", "Run Check again once it does.")
	case !s.Clocked:
		return found("store_clock", OK, "The store goes by this process's clock.", "")
	case ahead.Abs() <= wrongClock+s.Took:
		return found("store_clock", OK, "This process's clock agrees with the store's.", "")
	}
	return found("store_clock", Warning, fmt.Sprintf("This process's clock is %s the store's. Deadlines go by the store's; Webhook.MaxAge and the history's links by this one.", apart(ahead)),
		"Have both machines set their clocks by NTP.")
}

func (r Run) row() Row {
	switch {
	case r.Works:
		return found("run", OK, "Run works in this process.", "")
	case r.Missed:
		return found("run", Problem, "Something was due, and nobody worked on it: Run works on no replica.", "Call go h.Run(ctx), on one replica at least.")
	}
	return found("run", Unknown, "Run does not work in this process, or not yet.", "Call go h.Run(ctx), on one replica at least: without it no deadline passes, and nothing is tried again.")
}

func (f *Facts) texts() Row {
	if len(f.Silent) == 0 {
		return found("texts", OK, "Users are told all that happens.", "")
	}
	return found("texts", Warning, "Config.Texts leaves out, and so users are not told: "+strings.Join(f.Silent, ", ")+".",
		"Start from DefaultTexts, and change what you want, unless the channel says it otherwise.")
}

func (f *Facts) history() Row {
	if f.HistoryURL == "" {
		return found("history", OK, "There is no history page of the library's: Config.History.URL is empty.", "")
	}
	return opens("history", "Config.History.URL", f.HistoryURL, "HistoryHandler", "read conversations")
}

func (f *Facts) files() Row {
	if f.FilesURL == "" {
		return found("files", OK, "There are no links to files that only the bot can open: Config.Files.URL is empty.", "")
	}
	return opens("files", "Config.Files.URL", f.FilesURL, "FileHandler", "see files")
}

// opens says whether agents can open a URL that leads to a handler of ours, as far as its text tells.
func opens(name, field, link, handler, risk string) Row {
	u, err := url.Parse(link)
	switch {
	case err != nil || weblink.Local(u.Hostname()):
		return found(name, Warning, "Agents cannot open "+field+": its host is of this machine or of a private network.", "Write the URL at which agents' browsers reach "+handler+".")
	case u.Scheme != "https":
		return found(name, Warning, field+" is not https: whoever listens on the way can "+risk+".", "Serve it over https.")
	}
	return found(name, OK, field+" looks as if agents can open it; Check does not call it.", "")
}

// sentence returns a text of ours as a sentence: "check Token" is "Check Token."
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}
