package checkup_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/checkup"
	"github.com/crisphandover/handover/internal/crispapi"
)

func crisp(status int, reason string) error {
	return &crispapi.Error{Op: "read", StatusCode: status, Reason: reason, Scope: "website:x (read)"}
}

// says is a row in one line: its severity and the beginning of what it says.
func says(t *testing.T, f checkup.Facts, name string) string {
	rows := f.Rows()
	i := slices.IndexFunc(rows, func(r checkup.Row) bool { return r.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return rows[i].Severity + ": " + rows[i].Says
}

func TestRowsSayWhatWasFound(t *testing.T) {
	site := func(s checkup.Site) checkup.Facts {
		return checkup.Facts{DailyCalls: 100, Sites: []checkup.Site{s}}
	}
	for name, tt := range map[string]struct {
		facts     checkup.Facts
		row, says string
	}{
		"Crisp answers no":        {site(checkup.Site{Err: crisp(404, "website_not_found")}), "crisp", "ok: Crisp answers."},
		"Crisp is down":           {site(checkup.Site{Err: crisp(503, "")}), "crisp", "problem: Crisp answered HTTP 503."},
		"Crisp is not there":      {site(checkup.Site{Err: errors.New("no route")}), "crisp", "problem: Crisp gave no answer."},
		"no version":              {site(checkup.Site{Err: crisp(404, "")}), "crisp", "problem: What answers at Config.BaseURL does not know the path: HTTP 404."},
		"no version, in JSON":     {site(checkup.Site{Err: crisp(404, "not_found")}), "crisp", "problem: What answers at Config.BaseURL does not know the path: HTTP 404 not_found."},
		"an unknown website":      {site(checkup.Site{Err: crisp(404, "website_not_found")}), "crisp", "ok: Crisp answers."},
		"another document":        {site(checkup.Site{Err: crisp(200, "")}), "crisp", "problem: Crisp answered HTTP 200, without the content that it documents."},
		"a wrong token":           {site(checkup.Site{Err: crisp(401, "invalid_session")}), "token", "problem: Crisp refuses the token: HTTP 401 invalid_session."},
		"a token of another tier": {site(checkup.Site{Err: crisp(403, "restricted_route_tier")}), "website", "unknown: Not asked: something else must be mended first."},
		"a right token":           {site(checkup.Site{Err: crisp(404, "")}), "token", "ok: Crisp takes the token."},
		"too many calls":          {site(checkup.Site{Err: crisp(429, "")}), "quota", "problem: Crisp asked for fewer calls: HTTP 429."},
		"many calls":              {site(checkup.Site{Calls: 80}), "quota", "warning: 80 calls to Crisp were made today, of 100 that the token may make."},
		"few calls":               {site(checkup.Site{Calls: 79}), "quota", "ok: 79 calls to Crisp were made today, of 100 that the token may make."},
		"nobody knows the calls":  {site(checkup.Site{RecordErr: io.EOF}), "quota", "unknown: Not known: the store, which has the count of calls, does not answer."},
		"somebody is there":       {site(checkup.Site{There: "online"}), "presence", "ok: Crisp says that somebody is there."},
		"another word":            {site(checkup.Site{There: "perhaps"}), "presence", "unknown: Crisp says neither that somebody is there nor that nobody is."},
		"who is there is secret":  {site(checkup.Site{ThereErr: crisp(403, "token_scope_forbidden")}), "presence", "warning: Crisp does not tell whether somebody is there: HTTP 403 token_scope_forbidden."},
		"hooks without a key":     {site(checkup.Site{}), "hooks", "warning: No hook of the website can be verified: ServeHTTP refuses all, and agents' messages come minutes late."},
		"a website's hooks":       {site(checkup.Site{Signed: true, WebsiteToken: true}), "hooks", "warning: Only signed hooks can be verified, and Crisp signs none that are set up in a website's settings."},
		"a website's hooks came":  {site(checkup.Site{Signed: true, WebsiteToken: true, Hook: time.Unix(9, 0)}), "hooks", "ok: Hooks of the website can be verified."},
		"a hook came":             {site(checkup.Site{Hook: time.Unix(9, 0)}), "hooks_seen", "ok: The last hook came at 1970-01-01T00:00:09Z."},
		"hooks were refused":      {site(checkup.Site{Refused: errors.New("handover: wrong")}), "hooks_seen", "warning: Hooks came, and each was refused: wrong."},
		"no plan for notes":       {site(checkup.Site{NoNotes: true}), "notes", "warning: The plan has no private notes: agents are not told what notes would say."},
		"no scope": {checkup.Facts{Reads: []checkup.Read{{Name: "read_states", Op: "read state", Err: crisp(403, "token_scope_forbidden")}}}, "read_states",
			"warning: Crisp refuses what needs the scope website:conversation:states (read): HTTP 403 token_scope_forbidden. A plugin's hooks do not tell then that a conversation was resolved."},
		"nobody tells the time": {site(checkup.Site{Ahead: time.Hour}), "clock", "unknown: Not known: no answer of Crisp's told its time."},
		"another time":          {site(checkup.Site{Clocked: true, Ahead: -6 * time.Second}), "clock", "warning: This process's clock is 6s ahead of Crisp's. Webhook.MaxAge and the history's links go by it."},
		"the same time":         {site(checkup.Site{Clocked: true, Ahead: -4 * time.Second}), "clock", "ok: This process's clock agrees with Crisp's."},
		"hooks seem too old": {checkup.Facts{MaxAge: 5 * time.Minute, Sites: []checkup.Site{{Clocked: true, Ahead: -5 * time.Minute}}}, "clock",
			"problem: This process's clock is 5m0s ahead of Crisp's. Signed hooks are refused: Webhook.MaxAge is 5m0s."},
		"a dead store":       {checkup.Facts{Store: checkup.Store{Err: io.EOF}}, "store", "problem: The store does not answer as it should."},
		"a slow store":       {checkup.Facts{Store: checkup.Store{Took: 1500 * time.Millisecond}}, "store", "warning: The store took 1.5s for one load."},
		"a store in memory":  {checkup.Facts{Store: checkup.Store{Memory: true}}, "store_durable", "warning: The state dies with the process: running handovers are forgotten, and their bots speak again."},
		"a clock ahead":      {checkup.Facts{Store: checkup.Store{Clocked: true, Ahead: -time.Minute}}, "store_clock", "warning: This process's clock is 1m0s ahead of the store's. Deadlines go by the store's; Webhook.MaxAge and the history's links by this one."},
		"a clock in a delay": {checkup.Facts{Store: checkup.Store{Clocked: true, Ahead: 6 * time.Second, Took: 2 * time.Second}}, "store_clock", "ok: This process's clock agrees with the store's."},
		"nobody runs":        {checkup.Facts{Run: checkup.Run{Missed: true}}, "run", "problem: Something was due, and nobody worked on it: Run works on no replica."},
		"silent texts":       {checkup.Facts{Silent: []string{"Idle", "Left"}}, "texts", "warning: Config.Texts leaves out, and so users are not told: Idle, Left."},
		"a page at home":     {checkup.Facts{HistoryURL: "https://10.0.0.7/h"}, "history", "warning: Agents cannot open Config.History.URL: its host is of this machine or of a private network."},
		"files at home":      {checkup.Facts{FilesURL: "http://localhost:8080/f"}, "files", "warning: Agents cannot open Config.Files.URL: its host is of this machine or of a private network."},
		"files in clear":     {checkup.Facts{FilesURL: "http://bot.example.com/f"}, "files", "warning: Config.Files.URL is not https: whoever listens on the way can see files."},
		"files":              {checkup.Facts{FilesURL: "https://bot.example.com/f"}, "files", "ok: Config.Files.URL looks as if agents can open it; Check does not call it."},
		"no files":           {checkup.Facts{}, "files", "ok: There are no links to files that only the bot can open: Config.Files.URL is empty."},
		"a page in clear":    {checkup.Facts{HistoryURL: "http://bot.example.com/h"}, "history", "warning: Config.History.URL is not https: whoever listens on the way can read conversations."},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.says, says(t, tt.facts, tt.row)) })
	}
}

// A row that is not well says what to do, and names its website, whatever was found.
func TestRowsSayWhatToDo(t *testing.T) {
	for _, err := range []error{nil, io.EOF, crisp(200, ""), crisp(401, ""), crisp(403, ""), crisp(404, ""), crisp(429, ""), crisp(500, ""), checkup.ErrNotAsked} {
		f := checkup.Facts{
			Sites: []checkup.Site{{ID: "w", Err: err, ThereErr: err, RecordErr: err, Refused: err}}, Store: checkup.Store{Err: err},
			Reads: []checkup.Read{{Name: "read_states", Op: "read state", Err: err}},
		}
		for _, r := range f.Rows() {
			require.NotEmpty(t, r.Says)
			require.True(t, r.Severity == checkup.OK || r.Do != "", r)
			ofSite := slices.Contains([]string{"website", "presence", "hooks", "hooks_seen", "notes", "hugo"}, r.Name)
			require.Equal(t, ofSite, r.WebsiteID == "w", r.Name)
		}
	}
}

// routes is a transport that answers by the end of the path.
type routes map[string]string

func (all routes) RoundTrip(req *http.Request) (*http.Response, error) {
	for end, body := range all {
		if strings.HasSuffix(req.URL.Path, end) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
		}
	}
	return &http.Response{StatusCode: 403, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"error":true,"reason":"token_scope_forbidden"}`)), Request: req}, nil
}

func client(all routes) *crispapi.Client {
	return crispapi.New(crispapi.Config{BaseURL: "https://crisp.example/v1/", WebsiteID: "w", HTTP: &http.Client{Transport: all}})
}

func TestAskWebsite(t *testing.T) {
	var s checkup.Site
	checkup.AskWebsite(t.Context(), client(routes{"/website/w": `{"error":false,"data":{}}`, "/status": `{"error":false,"data":{"status":"online"}}`}), &s)
	require.NoError(t, s.Err)
	require.NoError(t, s.ThereErr)
	require.Equal(t, "online", s.There)

	checkup.AskWebsite(t.Context(), crispapi.New(crispapi.Config{BaseURL: "https://crisp.example/v1/", WebsiteID: "w", HTTP: &http.Client{Transport: fails{}}}), &s)
	require.ErrorIs(t, s.Err, io.ErrUnexpectedEOF)
	require.ErrorIs(t, s.ThereErr, checkup.ErrNotAsked, "one that does not answer is not asked again")
	require.False(t, s.Usable())
}

type fails struct{}

func (fails) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestAskScopes(t *testing.T) {
	errs := func(api *crispapi.Client) map[string]string {
		f, all := checkup.Facts{Reads: checkup.AskScopes(t.Context(), api)}, map[string]string{}
		for _, r := range f.Reads {
			word, _, _ := strings.Cut(says(t, f, r.Name), ":")
			all[r.Name] = word
		}
		return all
	}
	const list = `{"error":false,"data":[{"session_id":"session_11111111-2222-3333-4444-555555555555"}]}`
	require.Equal(t, map[string]string{"read_conversations": "unknown", "read_messages": "unknown", "read_states": "unknown"}, errs(nil))
	require.Equal(t, map[string]string{"read_conversations": "problem", "read_messages": "unknown", "read_states": "unknown"}, errs(client(nil)))
	require.Equal(t, map[string]string{"read_conversations": "ok", "read_messages": "unknown", "read_states": "unknown"}, errs(client(routes{"/conversations/1": `{"error":false,"data":[]}`})))
	require.Equal(t, map[string]string{"read_conversations": "ok", "read_messages": "ok", "read_states": "warning"},
		errs(client(routes{"/conversations/1": list, "/messages": `{"error":false,"data":[]}`})))
}
