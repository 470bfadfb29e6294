package main

import (
	"context"
	"encoding/base64"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

var update = flag.Bool("update", false, "write testdata and docs/check.md")

// scopes are all that a handover needs.
var scopes = []string{
	"website:conversation:initiate:write", "website:conversation:sessions:read", "website:conversation:sessions:write",
	"website:conversation:messages:read", "website:conversation:messages:write", "website:conversation:states:read",
	"website:conversation:states:write", "website:conversation:routing:write", "website:availability:read",
}

func without(scope string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == scope })
}

// mode is a Crisp, and how check is started on it.
type mode struct {
	crisp handovertest.Options
	does  func(*handovertest.Crisp)
	env   map[string]string
	args  []string
	deaf  bool // no hook reaches check
}

// ran is what came of a run.
type ran struct {
	code  int
	out   string
	calls int
	crisp *handovertest.Crisp
}

// run runs check in a bubble.
func run(t *testing.T, m mode, then func(t *testing.T, r ran)) {
	synctest.Test(t, func(t *testing.T) {
		m.crisp.AllowViolations = true // too long a text is one
		crisp := handovertest.NewCrisp(t, m.crisp)
		if m.does != nil {
			m.does(crisp)
		}
		var out strings.Builder
		env := variables(crisp, m.env)
		p := program{
			getenv: func(name string) string { return env[name] }, out: &out, client: crisp.Client(),
			listen: func(at string, h http.Handler) (string, func(), error) {
				if m.deaf {
					return at, func() {}, nil
				}
				return at, crisp.Attach(h), nil
			},
		}
		r := ran{code: p.run(t.Context(), m.args), out: out.String(), crisp: crisp, calls: crisp.CountCalls("")}
		bare(t, r.out, env)
		then(t, r)
		crisp.Close()
	})
}

// variables are the environment that a fake is reached by.
func variables(crisp *handovertest.Crisp, more map[string]string) map[string]string {
	id, key := crisp.Token()
	env := map[string]string{
		"CRISP_WEBSITE_ID": crisp.WebsiteID(), "CRISP_TIER": crisp.Tier(), "CRISP_IDENTIFIER": id, "CRISP_KEY": key,
		"CRISP_URL": crisp.URL(), "CRISP_WEBHOOK_SECRET": crisp.Secret(), "CRISP_WEBHOOK_KEY": crisp.HookKey(),
	}
	for name, value := range more {
		env[name] = value
	}
	return env
}

// bare holds that nothing secret is printed.
func bare(t *testing.T, out string, env map[string]string) {
	t.Helper()
	id, key := env["CRISP_IDENTIFIER"], env["CRISP_KEY"]
	for _, secret := range []string{id, key, env["CRISP_WEBHOOK_SECRET"], env["CRISP_WEBHOOK_KEY"], base64.StdEncoding.EncodeToString([]byte(id + ":" + key))} {
		if secret != "" {
			require.NotContains(t, out, secret)
		}
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestAGoodRun(t *testing.T) {
	run(t, mode{crisp: handovertest.Options{Scopes: scopes}}, func(t *testing.T, r ran) {
		require.Equal(t, exitGood, r.code)
		golden(t, "good.txt", r.out)
		require.LessOrEqual(t, r.calls, readCalls+writeCalls, "what it said that it costs")
		require.Contains(t, r.crisp.Record(), "conversation 0 ("+testName+"): removed")
	})
}

func TestABadRun(t *testing.T) {
	m := mode{
		crisp: handovertest.Options{Scopes: without("website:conversation:states:write"), FreePlan: true, Away: true, Skew: -time.Hour, Events: []string{eventSend}},
		env:   map[string]string{"CRISP_WEBHOOK_SECRET": "a secret of another plugin"},
	}
	run(t, m, func(t *testing.T, r ran) {
		require.Equal(t, exitProblem, r.code)
		golden(t, "bad.txt", r.out)
	})
}

func TestAllQuestions(t *testing.T) {
	run(t, mode{crisp: handovertest.Options{Scopes: scopes}, args: []string{"-ask"}}, func(t *testing.T, r ran) {
		require.Equal(t, exitGood, r.code)
		golden(t, "ask.txt", r.out)
		most := readCalls + writeCalls
		for _, q := range questions {
			most += q.calls
		}
		require.LessOrEqual(t, r.calls, most, "what it said that it costs")
	})
}

// The answers to questions when Crisp is another one.
func TestOtherAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		crisp handovertest.Options
		says  []string
	}{
		"fingerprints are refused":        {handovertest.Options{Repeated: handovertest.RepeatedRefused}, []string{"it is refused: HTTP 409 not_allowed. The log has it 1 times"}},
		"fingerprints drop a message":     {handovertest.Options{Repeated: handovertest.RepeatedDropped}, []string{"it is answered as if it were taken, and the log has it once"}},
		"fingerprints are Crisp's own":    {handovertest.Options{OwnFingerprints: true}, []string{"no: it answers another one", "it is stored a second time, with another fingerprint"}},
		"texts of any length":             {handovertest.Options{MaxText: -1}, []string{"32000 characters at least: no more were tried"}},
		"texts of an odd length":          {handovertest.Options{MaxText: 12_345}, []string{"12345 characters; one more gives HTTP 400 invalid_data. It counts UTF-16 units"}},
		"short texts":                     {handovertest.Options{MaxText: 150}, []string{"150 characters; one more gives HTTP 400 invalid_data."}},
		"texts that are cut":              {handovertest.Options{MaxText: 2500, CutText: true}, []string{"32000 characters are taken, and cut to 2500"}},
		"no urn":                          {handovertest.Options{Tier: "website", RefuseURNs: true}, []string{"no: HTTP 400 invalid_data, for a token of tier website"}},
		"data is replaced":                {handovertest.Options{DataReplaced: true}, []string{"data is replaced, segments are replaced"}},
		"a stealth message has no hook":   {handovertest.Options{QuietStealth: true}, []string{"not within 1m0s"}},
		"a state leaves the time":         {handovertest.Options{StateKeepsUpdated: true}, []string{"updated_at?\n    no\n"}},
		"hooks in seconds, signed once":   {handovertest.Options{HeaderSeconds: true, KeepSignature: true}, []string{"    seconds\n", "yes, after 1s, with the first time and signature"}},
		"hooks that are tried once":       {handovertest.Options{HookAttempts: 1}, []string{"not within 1m0s"}},
		"a log that lags":                 {handovertest.Options{LogLag: 3 * time.Second}, []string{"no: it comes later"}},
		"hooks that are those of website": {handovertest.Options{Tier: "website", Hooks: handovertest.WebsiteHooks}, []string{"tier website signed?\n    no, it carries a key"}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, mode{crisp: tt.crisp, args: []string{"-ask"}}, func(t *testing.T, r ran) {
				require.Equal(t, exitGood, r.code, r.out)
				for _, line := range tt.says {
					require.Contains(t, r.out, line)
				}
			})
		})
	}
}

// What is found in each mode of Crisp.
func TestModes(t *testing.T) {
	lack := func(scope, name string, severity string) mode {
		return mode{crisp: handovertest.Options{Scopes: without(scope)}}
	}
	_ = lack
	for name, tt := range map[string]struct {
		mode
		code int
		says []string
		none bool // no conversation is made
	}{
		"a website's token": {mode: mode{crisp: handovertest.Options{Tier: "website", Hooks: handovertest.WebsiteHooks}}, says: []string{
			"ok       hooks_seen           Hooks come to /crisp/hooks and verify by their key: message:send, message:received, message:updated, session:set_state.",
		}},
		"no scope to begin":   {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:initiate:write")}}, code: exitProblem, none: true, says: []string{"problem  write_conversations", "Give the token the scope website:conversation:initiate (write).", "unknown  write_messages       Not tried: no conversation could be made."}},
		"no scope for metas":  {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:sessions:write")}}, code: exitProblem, says: []string{"problem  write_sessions", "Give the token the scope website:conversation:sessions (write).", "warning  removed              The test conversation is still in Crisp: removing it gave HTTP 403 token_scope_forbidden."}},
		"no scope to write":   {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:messages:write")}}, code: exitProblem, says: []string{"problem  write_messages", "Give the token the scope website:conversation:messages (write)."}},
		"no scope to read":    {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:messages:read")}}, code: exitProblem, says: []string{"problem  read_messages", "Give the token the scope website:conversation:messages (read)."}},
		"no scope for lists":  {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:sessions:read")}}, code: exitProblem, says: []string{"problem  read_conversations"}},
		"no scope for states": {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:states:write")}}, says: []string{"warning  write_states", "Give the token the scope website:conversation:states (write)."}},
		"no scope to read states": {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:states:read")}}, says: []string{
			"warning  read_states",
		}},
		"no scope for routing": {mode: mode{crisp: handovertest.Options{Scopes: without("website:conversation:routing:write")}}, says: []string{"warning  write_routing", "It is needed only where a Request has an Operator."}},
		"no scope for presence": {mode: mode{crisp: handovertest.Options{Scopes: without("website:availability:read")}}, says: []string{
			"warning  presence",
		}},
		"nobody there": {mode: mode{crisp: handovertest.Options{Away: true}}, says: []string{"warning  presence             Crisp says that nobody is there."}},
		"no notes":     {mode: mode{crisp: handovertest.Options{FreePlan: true}}, says: []string{"warning  notes                The plan has no private notes", "ok       hooks_seen"}},
		"a wrong key": {mode: mode{env: map[string]string{"CRISP_KEY": "another key"}}, code: exitProblem, none: true, says: []string{
			"problem  token                Crisp refuses the token: HTTP 401 invalid_session.", "unknown  write_messages       Not tried: the token does not work on the website yet.",
		}},
		"a wrong tier": {mode: mode{env: map[string]string{"CRISP_TIER": "website"}}, code: exitProblem, none: true, says: []string{"problem  token"}},
		"a plugin that is not installed": {mode: mode{env: map[string]string{"CRISP_WEBSITE_ID": "7a3c5e10-6f0b-4d55-9c1e-00000000000f"}}, code: exitProblem, none: true, says: []string{
			"problem  website              Crisp does not let the token read the website: HTTP 404 not_subscribed.", "Install the plugin on this website, and check the website's id.",
		}},
		"hooks never come": {mode: mode{deaf: true}, code: exitProblem, says: []string{"problem  hooks_seen           No hook came within 1m0s.", "see that the plugin is installed on the website"}},
		"hooks that are lost": {mode: mode{does: func(c *handovertest.Crisp) {
			c.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				return handovertest.HookFault{Drop: i.Event == eventReceived}
			})
		}}, code: exitProblem, says: []string{"problem  hooks_seen           Hooks come to /crisp/hooks and verify by their signature. These never came within 1m0s: message:received."}},
		"events that are not ticked": {mode: mode{crisp: handovertest.Options{Events: []string{eventSend, eventReceived}}}, says: []string{
			"warning  hooks_seen           Hooks come to /crisp/hooks and verify by their signature. These never came within 1m0s: message:updated, session:set_state.",
		}},
		"hooks that are late": {mode: mode{does: func(c *handovertest.Crisp) {
			c.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault {
				return handovertest.HookFault{Delay: 20 * time.Second}
			})
		}}, says: []string{"warning  hooks_late           A hook came 20s after what it tells of.", "ok       hooks_seen"}},
		"hooks that are doubled": {mode: mode{does: func(c *handovertest.Crisp) {
			c.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Twice: true} })
		}}, says: []string{"ok       hooks_seen"}},
		"a wrong secret": {mode: mode{env: map[string]string{"CRISP_WEBHOOK_SECRET": "another secret"}}, code: exitProblem, says: []string{
			"problem  hooks_seen           Hooks of the test came, and each was refused: the web hook's signature or key is wrong", "Copy the plugin's signing secret into CRISP_WEBHOOK_SECRET once more",
		}},
		"a wrong key of hooks": {mode: mode{crisp: handovertest.Options{Tier: "website", Hooks: handovertest.WebsiteHooks}, env: map[string]string{"CRISP_WEBHOOK_KEY": "another key"}}, code: exitProblem, says: []string{
			"problem  hooks_seen           Hooks of the test came, and each was refused: the web hook's signature or key is wrong",
		}},
		"neither secret nor key": {mode: mode{env: map[string]string{"CRISP_WEBHOOK_SECRET": "", "CRISP_WEBHOOK_KEY": ""}}, code: exitProblem, says: []string{
			"problem  hooks_seen           Hooks of the test came, and each was refused: web hook without a signature or key to check", "Set CRISP_WEBHOOK_SECRET for a plugin's hooks",
		}},
		"a quota that is used up": {mode: mode{crisp: handovertest.Options{Quotas: []handovertest.Quota{{Calls: 2}}}}, code: exitProblem, none: true, says: []string{
			"problem  quota                Crisp asked for fewer calls: HTTP 423 quota_limit_exceeded.", "unknown  write_messages       Not tried: Crisp asked for fewer calls.",
		}},
		"a quota that ends within": {mode: mode{crisp: handovertest.Options{Quotas: []handovertest.Quota{{Calls: 9}}}}, code: exitProblem, says: []string{
			"problem  quota                Crisp asked for fewer calls: HTTP 423 quota_limit_exceeded. Nothing more was called.", "warning  removed              The test conversation is still in Crisp",
		}},
		"a quota that ends among the questions": {mode: mode{crisp: handovertest.Options{Quotas: []handovertest.Quota{{Calls: 20, Status: 429}}}, args: []string{"-ask"}}, code: exitProblem, says: []string{
			"problem  quota                Crisp asked for fewer calls: HTTP 429 rate_limited. Nothing more was called.",
		}},
		"Crisp is down": {mode: mode{does: func(c *handovertest.Crisp) {
			c.Fail(handovertest.Always, handovertest.Fault{Status: 503})
		}}, code: exitProblem, none: true, says: []string{"problem  crisp                Crisp answered HTTP 503 server_error."}},
		"Crisp fails on the way": {mode: mode{does: func(c *handovertest.Crisp) {
			c.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RoutePatchMeta, CutAfter: true})
		}}, code: exitNotKnown, says: []string{"unknown  write_sessions       Not known: Crisp gave no answer to a call that needs the scope website:conversation:sessions (write)."}},
		"a proxy answers": {mode: mode{does: func(c *handovertest.Crisp) {
			c.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteCreate, Status: 200, Body: handovertest.BodyHTML})
		}}, code: exitNotKnown, none: true, says: []string{"unknown  write_conversations  Not known: Crisp gave HTTP 200 to a call"}},
		"a clock that is wrong": {mode: mode{crisp: handovertest.Options{Skew: time.Hour}}, says: []string{"warning  clock                This process's clock is 1h0m0s behind Crisp's."}},
		"Hugo answers": {mode: mode{crisp: handovertest.Options{Bot: &handovertest.Bot{}}}, says: []string{
			"warning  hugo                 A bot answered the test conversation (origin urn:crisp.im:bot:0)", "Route to Inbox",
		}},
		"Hugo has an inbox": {mode: mode{crisp: handovertest.Options{Bot: &handovertest.Bot{Inbox: "7a3c5e10-6f0b-4d55-9c1e-00000000000a", Delay: time.Hour}}}, says: []string{
			"warning  hugo                 Crisp put the test conversation into a sub-inbox",
		}},
		"only reading": {mode: mode{crisp: handovertest.Options{Scopes: scopes}, args: []string{"-read"}}, none: true, says: []string{
			"ok       token", "unknown  write_scopes", "unknown  hooks_seen", "ok       clock",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, tt.mode, func(t *testing.T, r ran) {
				require.Equal(t, tt.code, r.code, r.out)
				for _, line := range tt.says {
					require.Contains(t, r.out, line)
				}
				require.Equal(t, tt.none, len(r.crisp.Conversations()) == 0)
			})
		})
	}
}

func TestWhatIsNotAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		says string
	}{
		"no variables":           {env: map[string]string{"CRISP_KEY": "", "CRISP_WEBSITE_ID": ""}, says: "check: these variables are missing: CRISP_WEBSITE_ID, CRISP_KEY (go doc"},
		"a website that is none": {env: map[string]string{"CRISP_WEBSITE_ID": "example.com"}, says: "check: handover: config: WebsiteID must be"},
		"a tier that is none":    {env: map[string]string{"CRISP_TIER": "gold"}, says: "check: handover: config: Token.Tier"},
		"both":                   {args: []string{"-read", "-ask"}, says: "check: -ask writes, and -read forbids it: leave one out"},
		"an argument too much":   {args: []string{"all"}, says: "check: there are arguments left over: 1."},
		"a flag too much":        {args: []string{"-all"}, says: "flag provided but not defined: -all"},
		"a wait without end":     {args: []string{"-wait", "24h"}, says: "check: -wait must be from 1s to 10m"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, mode{env: tt.env, args: tt.args}, func(t *testing.T, r ran) {
				require.Equal(t, exitNotKnown, r.code)
				require.Contains(t, r.out, tt.says)
				require.Zero(t, r.calls)
			})
		})
	}
}

// Who asks for help gets it, whatever is set up.
func TestHelp(t *testing.T) {
	run(t, mode{env: map[string]string{"CRISP_KEY": ""}, args: []string{"-h"}}, func(t *testing.T, r ran) {
		require.Equal(t, exitGood, r.code)
		require.Contains(t, r.out, "Usage of check:")
		require.Zero(t, r.calls)
	})
}

// What was written is removed although the run was interrupted.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crisp := handovertest.NewCrisp(t, handovertest.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
			if i.Type == "note" {
				cancel()
			}
			return handovertest.Fault{}
		})
		var out strings.Builder
		env := variables(crisp, nil)
		p := program{getenv: func(name string) string { return env[name] }, out: &out, client: crisp.Client(), listen: func(at string, h http.Handler) (string, func(), error) {
			return at, crisp.Attach(h), nil
		}}
		require.Equal(t, exitNotKnown, p.run(ctx, nil))
		require.Contains(t, out.String(), "check: interrupted: not everything was looked at")
		require.Contains(t, crisp.Record(), "conversation 0 ("+testName+"): removed")
		bare(t, out.String(), env)
		crisp.Close()
	})
}

// Hooks about conversations that are not the test's are left to the bot.
func TestHooksOfOthersAreLeft(t *testing.T) {
	m := mode{does: func(c *handovertest.Crisp) {
		other := c.Open("Bea")
		c.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
			if i.Type == "note" {
				go other.UserByChat("Where is my parcel?")
			}
			return handovertest.Fault{}
		})
	}}
	run(t, m, func(t *testing.T, r ran) {
		require.Equal(t, exitGood, r.code, r.out)
		tried := 0
		for _, h := range r.crisp.Hooks() {
			if h.Conversation == 0 && h.Attempt == 1 {
				require.Equal(t, http.StatusServiceUnavailable, h.Status)
				tried++
			}
		}
		require.Positive(t, tried)
		require.Contains(t, r.out, "check: hooks about other conversations: ")
	})
}

// Over the network, as it is used.
func TestOverTheNetwork(t *testing.T) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	require.NoError(t, crisp.Listen())
	var out strings.Builder
	env := variables(crisp, map[string]string{"ADDR": "127.0.0.1:0"})
	p := program{getenv: func(name string) string { return env[name] }, out: &out, listen: func(address string, h http.Handler) (string, func(), error) {
		at, stop, err := listen(address, h)
		if err == nil {
			crisp.AttachURL("http://" + at + "/crisp/hooks")
		}
		return at, stop, err
	}}
	require.Equal(t, exitGood, p.run(t.Context(), nil), out.String())
	require.Contains(t, out.String(), "ok       hooks_seen")
	bare(t, out.String(), env)

	taken, stop, err := listen("127.0.0.1:0", http.NotFoundHandler())
	require.NoError(t, err)
	defer stop()
	env["ADDR"], p.listen = taken, listen
	out.Reset()
	require.Equal(t, exitNotKnown, p.run(t.Context(), nil))
	require.Contains(t, out.String(), "say in ADDR where else")
}

// TestDocument holds docs/check.md: it shows the runs as they are, and its numbers are those of the code.
func TestDocument(t *testing.T) {
	const path = "../../docs/check.md"
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(raw)
	for _, name := range []string{"good", "bad", "ask"} {
		run, err := os.ReadFile("testdata/" + name + ".txt")
		require.NoError(t, err)
		if _, facts, cut := strings.Cut(string(run), "What this Crisp does"); cut && name == "ask" {
			run = []byte("What this Crisp does" + facts)
		}
		block := regexp.MustCompile("(?s)(<!-- " + name + " -->\n```text\n).*?(```\n)")
		require.Regexp(t, block, text)
		text = block.ReplaceAllStringFunc(text, func(string) string { return "<!-- " + name + " -->\n```text\n" + string(run) + "```\n" })
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	require.Equal(t, text, string(raw), "go test ./examples/check -update writes it")
	calls := 0
	for _, q := range questions {
		calls += q.calls
	}
	for _, n := range []int{readCalls, writeCalls, calls} {
		require.Contains(t, text, strconv.Itoa(n)+" calls")
	}
}
