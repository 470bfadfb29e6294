package handover_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// row is a finding in one line, without the website.
func row(r handover.Report, name string) string {
	i := slices.IndexFunc(r, func(f handover.Finding) bool { return f.Name == name })
	if i < 0 {
		return "no finding is called " + name
	}
	f := r[i]
	f.WebsiteID = ""
	return f.String()
}

func check(r *rig.Rig) handover.Report { return r.H.Check(r.T.Context()) }

const asks = "Not asked: something else must be mended first. Mend what is a problem, and run Check again."

// What Check says in each mode of Crisp.
func TestCheckSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	fails := func(route string, status int, reason string) func(*rig.Rig) {
		return func(r *rig.Rig) {
			r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: route, Status: status, Reason: reason})
		}
	}
	all := []string{
		"website:conversation:initiate:write", "website:conversation:sessions:read", "website:conversation:sessions:write", "website:conversation:messages:read",
		"website:conversation:messages:write", "website:conversation:states:read", "website:conversation:states:write", "website:availability:read",
	}
	without := func(scope string) handovertest.Options {
		return handovertest.Options{Scopes: slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == scope })}
	}
	config := func(change func(c *handover.Config)) func(*rig.Rig, *handover.Config) {
		return func(_ *rig.Rig, c *handover.Config) { change(c) }
	}
	for name, tt := range map[string]struct {
		crisp  handovertest.Options
		config func(*rig.Rig, *handover.Config)
		still  bool
		does   func(*rig.Rig)
		says   []string // rows
		fine   bool     // no problem
	}{
		"all is well": {crisp: handovertest.Options{Scopes: all}, does: func(r *rig.Rig) { r.Opened() }, fine: true, says: []string{
			"ok: crisp: Crisp answers.", "ok: token: Crisp takes the token.", "ok: website: The token speaks for the website.",
			"ok: presence: Crisp says that somebody is there.", "ok: hooks: Hooks of the website can be verified.",
			"ok: read_conversations: The token may do what needs the scope website:conversation:sessions (read).",
			"ok: read_messages: The token may do what needs the scope website:conversation:messages (read).",
			"ok: read_states: The token may do what needs the scope website:conversation:states (read).",
			"ok: store: The store answers.", "ok: run: Run works in this process.", "ok: texts: Users are told all that happens.",
			"ok: hooks_seen: The last hook came at 2000-01-01T00:00:00Z.",
		}},
		"a token of the website": {crisp: handovertest.Options{Tier: "website", Hooks: handovertest.WebsiteHooks}, fine: true, config: func(r *rig.Rig, c *handover.Config) {
			c.Token.Tier, c.Webhook = handover.TierWebsite, handover.Webhook{URLKeys: r.HookKeys()}
		}, says: []string{"ok: token: Crisp takes the token.", "ok: hooks: Hooks of the website can be verified."}},
		"a token that is wrong": {config: config(func(c *handover.Config) { c.Token.Key = handover.NewSecret("a password") }), says: []string{
			"ok: crisp: Crisp answers.",
			"problem: token: Crisp refuses the token: HTTP 401 invalid_session. Check Token: Identifier and Key must be as Crisp showed them, and Token.Tier the tier of that token.",
			"unknown: website: " + asks, "unknown: presence: " + asks, "unknown: read_conversations: " + asks, "unknown: read_messages: " + asks,
		}},
		"a tier that is wrong": {config: config(func(c *handover.Config) { c.Token.Tier = handover.TierWebsite }), says: []string{
			"problem: token: Crisp refuses the token: HTTP 401 invalid_session. Check Token: Identifier and Key must be as Crisp showed them, and Token.Tier the tier of that token.",
		}},
		"a route of another tier": {does: fails(handovertest.RouteWebsite, 403, "restricted_route_tier"), says: []string{
			"problem: token: Crisp refuses the token: HTTP 403 restricted_route_tier. Check Token.Tier: it must be the tier of the token.",
		}},
		"a plugin that is not installed": {config: config(func(c *handover.Config) { c.WebsiteID = "7a3c5e10-6f0b-4d55-9c1e-00000000000f" }), says: []string{
			"ok: crisp: Crisp answers.", "ok: token: Crisp takes the token.",
			"problem: website: Crisp does not let the token read the website: HTTP 404 not_subscribed. Install the plugin on this website, and check the website's id.",
			"unknown: presence: " + asks, "unknown: read_conversations: " + asks,
		}},
		"another website": {crisp: handovertest.Options{Tier: "website"}, config: config(func(c *handover.Config) {
			c.WebsiteID, c.Token.Tier = "7a3c5e10-6f0b-4d55-9c1e-00000000000f", handover.TierWebsite
		}), says: []string{
			"problem: website: Crisp does not let the token read the website: HTTP 404 website_not_found. Check the website's id, and that the token is of this website.",
		}},
		"no scope for the list": {crisp: without("website:conversation:sessions:read"), says: []string{
			"problem: read_conversations: Crisp refuses what needs the scope website:conversation:sessions (read): HTTP 403 token_scope_forbidden. Give the token the scope website:conversation:sessions (read).",
			"unknown: read_messages: " + asks,
		}},
		"no scope for messages": {crisp: without("website:conversation:messages:read"), does: func(r *rig.Rig) { r.Crisp.Open("Bea").UserByChat("hello") }, says: []string{
			"problem: read_messages: Crisp refuses what needs the scope website:conversation:messages (read): HTTP 403 token_scope_forbidden. Give the token the scope website:conversation:messages (read).",
			"ok: read_states: The token may do what needs the scope website:conversation:states (read).",
		}},
		"no scope for states": {crisp: without("website:conversation:states:read"), does: func(r *rig.Rig) { r.Opened() }, fine: true, says: []string{
			"warning: read_states: Crisp refuses what needs the scope website:conversation:states (read): HTTP 403 token_scope_forbidden. A plugin's hooks do not tell then that a conversation was resolved. Give the token the scope website:conversation:states (read).",
		}},
		"no scope for presence": {crisp: without("website:availability:read"), fine: true, says: []string{
			"warning: presence: Crisp does not tell whether somebody is there: HTTP 403 token_scope_forbidden. Give the token the scope website:availability (read).",
		}},
		"no scope for presence, which is needed": {crisp: without("website:availability:read"), config: config(func(c *handover.Config) { c.Policy.RefuseUnknown = true }), says: []string{
			"problem: presence: Crisp does not tell whether somebody is there: HTTP 403 token_scope_forbidden. With Policy.RefuseUnknown nobody is handed over. Give the token the scope website:availability (read).",
		}},
		"no permission to read the website": {does: fails(handovertest.RouteWebsite, 403, "not_allowed"), says: []string{
			"ok: token: Crisp takes the token.",
			"problem: website: Crisp does not let the token read the website: HTTP 403 not_allowed. Give the token the scope that this call needs. Check the website's id too.",
			"ok: presence: Crisp says that somebody is there.",
		}},
		"nobody there": {crisp: handovertest.Options{Away: true}, fine: true, says: []string{
			"warning: presence: Crisp says that nobody is there. Who asks for a human now is told so. Be online in Crisp, or set its opening hours.",
		}},
		"a quota that is used up": {crisp: handovertest.Options{Quotas: []handovertest.Quota{{Calls: 1}}}, says: []string{
			"ok: crisp: Crisp answers.", "ok: token: Crisp takes the token.", "unknown: presence: Not asked: Crisp asked for fewer calls. Run Check again later.",
			"problem: quota: Crisp asked for fewer calls: HTTP 423 quota_limit_exceeded. Nothing is called for another 1m0s. Wait. If it comes again, have Crisp raise the quota, and set Limits.DailyCalls to it.",
		}},
		"a quota that was used up before": {crisp: handovertest.Options{Quotas: []handovertest.Quota{{Calls: 1}}}, does: func(r *rig.Rig) { check(r) }, says: []string{
			"ok: crisp: Crisp answers.", "unknown: token: Not asked: Crisp asked for fewer calls. Run Check again later.",
			"unknown: website: Not asked: Crisp asked for fewer calls. Run Check again later.",
			"problem: quota: Crisp asked for fewer calls: HTTP 423 quota_limit_exceeded. Nothing is called for another 1m0s. Wait. If it comes again, have Crisp raise the quota, and set Limits.DailyCalls to it.",
		}},
		"a quota that is nearly used up": {config: config(func(c *handover.Config) { c.Limits.DailyCalls = 7 }), does: func(r *rig.Rig) { r.Opened() }, fine: true, says: []string{
			"warning: quota: 6 calls to Crisp were made today, of 7 that the token may make. Have Crisp raise the quota, and set Limits.DailyCalls to it; Policy.NoMarks saves calls.",
		}},
		"Crisp is down": {does: fails("", 503, ""), says: []string{
			"problem: crisp: Crisp answered HTTP 503 server_error. Try again in a minute. If it stays, check Config.BaseURL, the network, and Config.HTTPClient.",
			"unknown: token: Not known: Crisp answered HTTP 503 server_error. Run Check again later.",
		}},
		"Crisp does not answer": {does: func(r *rig.Rig) { r.Crisp.Fail(handovertest.Always, handovertest.Fault{Refuse: true}) }, says: []string{
			"problem: crisp: Crisp gave no answer. Try again in a minute. If it stays, check Config.BaseURL, the network, and Config.HTTPClient.",
		}},
		"a proxy answers": {does: func(r *rig.Rig) {
			r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 200, Body: handovertest.BodyHTML})
		}, says: []string{
			"problem: crisp: Crisp answered HTTP 200, without the content that it documents. Try again in a minute. If it stays, check Config.BaseURL, the network, and Config.HTTPClient.",
		}},
		"no webhook": {config: config(func(c *handover.Config) { c.Webhook = handover.Webhook{} }), fine: true, says: []string{
			"warning: hooks: No hook of the website can be verified: ServeHTTP refuses all, and agents' messages come minutes late. Set Webhook.Secrets for a plugin's hooks, or Webhook.URLKeys for the website's own, unless you receive hooks with ReadEvent and HandleEvent.",
		}},
		"hooks of the host's own": {config: config(func(c *handover.Config) { c.Webhook = handover.Webhook{} }), fine: true, does: func(r *rig.Rig) {
			require.NoError(r.T, r.H.HandleEvent(r.T.Context(), handover.Event{WebsiteID: r.Crisp.WebsiteID()}))
		}, says: []string{"ok: hooks: Hooks come by HandleEvent: ServeHTTP, which would refuse them, is not used."}},
		"a website's hooks are never signed": {crisp: handovertest.Options{Tier: "website"}, config: config(func(c *handover.Config) { c.Token.Tier = handover.TierWebsite }), fine: true, says: []string{
			"warning: hooks: Only signed hooks can be verified, and Crisp signs none that are set up in a website's settings. Set Webhook.URLKeys, and end the hooks' URL in Crisp with ?key= and the key, unless a plugin sends the hooks.",
		}},
		"hooks that are refused": {config: config(func(c *handover.Config) { c.Webhook.Secrets = handover.NewSecrets("another secret") }), fine: true, does: func(r *rig.Rig) { r.Opened() }, says: []string{
			"warning: hooks_seen: Hooks came, and each was refused: the web hook's signature or key is wrong: compare Webhook.Secrets and Webhook.URLKeys with those in Crisp, and pass the body on unchanged. If they were Crisp's, agents' messages come minutes late until this is mended.",
		}},
		"no notes": {crisp: handovertest.Options{FreePlan: true}, fine: true, does: refusedNote, says: []string{
			"warning: notes: The plan has no private notes: agents are not told what notes would say. Set Policy.NoteFallback to NoteInData, or take a plan with notes.",
		}},
		"notes among the data": {crisp: handovertest.Options{FreePlan: true}, config: config(func(c *handover.Config) { c.Policy.NoteFallback = handover.NoteInData }), fine: true, does: refusedNote, says: []string{
			"ok: notes: The plan has no private notes; they go into the data, as Policy.NoteFallback says.",
		}},
		"a store in memory": {config: config(func(c *handover.Config) { c.Store = nil }), fine: true, says: []string{
			"warning: store_durable: The state dies with the process: running handovers are forgotten, and their bots speak again. Set Config.Store to a durable store, such as one of package sqlstore, unless this is a test.",
		}},
		"a store that fails": {does: func(r *rig.Rig) { r.Store.Fails(true) }, says: []string{
			"problem: store: The store does not answer as it should. See that the database runs, that this process reaches it, and that its tables are made.",
			"unknown: quota: Not known: the store, which has the count of calls, does not answer. Run Check again once it does.",
			"unknown: store_clock: Not known: the store does not answer. Run Check again once it does.",
			"ok: token: Crisp takes the token.",
		}},
		"a store that is slow": {config: config(func(c *handover.Config) { c.Store = &clockedStore{Store: c.Store, slow: 2 * time.Second} }), fine: true, says: []string{
			"warning: store: The store took 2s for one load. Take a database that is nearer, or less busy: each message costs several saves.",
			"ok: store_clock: This process's clock agrees with the store's.",
		}},
		"a clock behind Crisp's": {crisp: handovertest.Options{Skew: time.Hour}, fine: true, says: []string{
			"warning: clock: This process's clock is 1h0m0s behind Crisp's. Webhook.MaxAge and the history's links go by it. Have this machine set its clock by NTP.",
		}},
		"a clock by which hooks are too old": {crisp: handovertest.Options{Skew: -time.Hour}, config: config(func(c *handover.Config) { c.Webhook.MaxAge = 10 * time.Minute }), says: []string{
			"problem: clock: This process's clock is 1h0m0s ahead of Crisp's. Signed hooks are refused: Webhook.MaxAge is 10m0s. Have this machine set its clock by NTP.",
		}},
		"a clock that is behind": {config: config(func(c *handover.Config) { c.Store = &clockedStore{Store: c.Store, ahead: time.Hour} }), fine: true, says: []string{
			"warning: store_clock: This process's clock is 1h0m0s behind the store's. Deadlines go by the store's; Webhook.MaxAge and the history's links by this one. Have both machines set their clocks by NTP.",
		}},
		"no Run": {still: true, fine: true, says: []string{
			"unknown: run: Run does not work in this process, or not yet. Call go h.Run(ctx), on one replica at least: without it no deadline passes, and nothing is tried again.",
		}},
		"texts of a literal": {config: config(func(c *handover.Config) {
			c.Texts = func(handover.Session) handover.Texts {
				return handover.Texts{Waiting: "Please wait.", Resolved: "Done."}
			}
		}), fine: true, says: []string{
			"warning: texts: Config.Texts leaves out, and so users are not told: NobodyCame, OpenFailed, RelayFailed, NotSent, Idle, Closed, Left, AskEmail, BadEmail, ByEmail. Start from DefaultTexts, and change what you want, unless the channel says it otherwise.",
		}},
		"a history page at home": {config: config(historyAt("http://localhost:8080/history")), fine: true, says: []string{
			"warning: history: Agents cannot open Config.History.URL: its host is of this machine or of a private network. Write the URL at which agents' browsers reach HistoryHandler.",
		}},
		"a history page in the clear": {config: config(historyAt("http://bot.example.com/history")), fine: true, says: []string{
			"warning: history: Config.History.URL is not https: whoever listens on the way can read conversations. Serve it over https.",
		}},
		"a history page": {config: config(historyAt("https://bot.example.com/history")), fine: true, says: []string{
			"ok: history: Config.History.URL looks as if agents can open it; Check does not call it.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Crisp: tt.crisp, Config: tt.config, Still: tt.still}, func(r *rig.Rig) {
				if tt.does != nil {
					tt.does(r)
				}
				report := check(r)
				for _, want := range tt.says {
					name, _, _ := strings.Cut(strings.SplitN(want, ": ", 3)[1], ":")
					require.Equal(t, want, row(report, name))
				}
				if tt.fine {
					require.NoError(t, report.Err())
				} else {
					require.Error(t, report.Err())
				}
				r.Crisp.Heal()
				r.Store.Fails(false)
			})
		})
	}
}

func historyAt(url string) func(c *handover.Config) {
	return func(c *handover.Config) {
		c.History = handover.History{URL: url, SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, nil }
	}
}

// refusedNote has the library post a note on a plan that has none.
func refusedNote(r *rig.Rig) {
	require.Equal(r.T, handover.OutcomeOpened, r.Asks(handover.Request{Note: "for the agents"}))
	r.After(time.Minute)
}

// clockedStore has a clock of its own.
type clockedStore struct {
	handover.Store
	ahead, slow time.Duration
}

func (s *clockedStore) Load(ctx context.Context, key string) (handover.Record, error) {
	time.Sleep(s.slow / 2)
	r, err := s.Store.Load(ctx, key)
	r.Now = time.Now().Add(s.ahead)
	time.Sleep(s.slow / 2)
	return r, err
}

// Every finding is there in every report, and documented.
func TestCheckFindsTheSameThingsWhateverHappens(t *testing.T) {
	doc, err := os.ReadFile("check.go")
	require.NoError(t, err)
	names := func(r handover.Report) (all []string) {
		for _, f := range r {
			all = append(all, f.Name)
			require.Contains(t, string(doc), "//\t"+f.Name+" ", "it is documented")
			require.NotEmpty(t, f.Says)
			require.True(t, f.Severity == handover.SeverityOK || f.Do != "", f)
		}
		slices.Sort(all)
		return all
	}
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		well := names(check(r))
		require.Equal(t, slices.Compact(slices.Clone(well)), well, "each once")
		r.Store.Fails(true)
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Refuse: true})
		require.Equal(t, well, names(check(r)))
		r.Store.Fails(false)
		r.Crisp.Heal()
	})
}

func TestCheckOfSeveralWebsites(t *testing.T) {
	const second, third = "7a3c5e10-6f0b-4d55-9c1e-000000000002", "7a3c5e10-6f0b-4d55-9c1e-000000000003"
	o := rig.Options{Crisp: handovertest.Options{Websites: []string{second}}, Config: func(_ *rig.Rig, c *handover.Config) { c.Websites = []string{second, third} }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		report := check(r)
		of := map[string]handover.Severity{}
		for _, f := range report {
			if f.Name == "website" {
				of[f.WebsiteID] = f.Severity
			}
		}
		require.Equal(t, map[string]handover.Severity{r.Crisp.WebsiteID(): "ok", second: "ok", third: "problem"}, of)
		require.Contains(t, report.String(), "HTTP 404 not_subscribed. (website "+third+")\n")
		require.LessOrEqual(t, len(r.Crisp.Calls()), 4+3+1)
	})
}

// Check asks at once though calls are held back, so that a person sees that it is mended.
func TestCheckSeesWhatWasMended(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		mend := r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteList, Status: 403, Reason: "token_scope_forbidden"})
		require.ErrorContains(t, check(r).Err(), "handover: check: read_conversations: ")
		mend()
		require.NoError(t, check(r).Err())
		mend = r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 401})
		require.ErrorContains(t, check(r).Err(), "handover: check: token: ")
		mend()
		require.NoError(t, check(r).Err())
	})
}

func TestCheckEnds(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		mend := r.Crisp.Fail(handovertest.Always, handovertest.Fault{Delay: time.Hour})
		begun := time.Now()
		require.Error(t, check(r).Err())
		require.LessOrEqual(t, time.Since(begun), 31*time.Second)
		mend()

		ended, cancel := context.WithCancel(r.T.Context())
		cancel()
		err := r.H.Check(ended).Err()
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Check changes nothing in Crisp.
func TestCheckChangesNothing(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		conv := r.Opened()
		messages, before := len(conv.Messages()), len(r.Crisp.Calls())
		check(r)
		for _, c := range r.Crisp.Calls()[before:] {
			require.Equal(t, "GET", c.Method)
		}
		require.Len(t, r.Crisp.Calls()[before:], 5)
		require.Len(t, conv.Messages(), messages)
	})
}

func TestReportPrintsAndEncodes(t *testing.T) {
	fault := errors.New("connection refused")
	report := handover.Report{
		{Name: "store", Severity: handover.SeverityProblem, Says: "The store does not answer.", Do: "Start it.", Err: fault},
		{Name: "website", Severity: handover.SeverityOK, WebsiteID: "w1", Says: "It is there."},
	}
	require.Equal(t, "problem  store    The store does not answer.\n"+
		"                  -> Start it.\n"+
		"ok       website  It is there.\n", report.String())
	require.Equal(t, "ok: website of website w1: It is there.", report[1].String())
	require.EqualError(t, report.Err(), "handover: check: store: The store does not answer. (connection refused) Start it.")
	require.ErrorIs(t, report.Err(), fault)
	require.NoError(t, report[1:].Err())
	asJSON, err := json.Marshal(report)
	require.NoError(t, err)
	require.JSONEq(t, `[{"name":"store","severity":"problem","says":"The store does not answer.","do":"Start it."},
		{"name":"website","severity":"ok","website_id":"w1","says":"It is there."}]`, string(asJSON))
}

// No secret is in a report, whatever Crisp says.
func TestCheckTellsNoSecrets(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Token.Identifier, c.Token.Key = handover.NewSecret("private-identifier"), handover.NewSecret("private-key")
		historyAt("https://bot.example.com/h")(c)
		c.History.SigningKey = handover.NewSecret(strings.Repeat("private", 5))
		c.Webhook.Secrets = handover.NewSecrets("private-secret")
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 400, Body: `{"error":true,"reason":"private_words","data":{"message":"private words"}}`})
		report := check(r)
		asJSON, err := json.Marshal(report)
		require.NoError(t, err)
		for _, printed := range []string{report.String(), report.Err().Error(), string(asJSON)} {
			require.NotContains(t, strings.ReplaceAll(printed, "private notes", ""), "private-")
		}
	})
}
