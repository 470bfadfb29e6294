package handover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// goodConfig is the least that New takes, without what it would say in the log.
func goodConfig() handover.Config {
	return handover.Config{
		Logger:    slog.New(slog.DiscardHandler),
		WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000001",
		Token:     handover.Token{Tier: handover.TierWebsite, Identifier: handover.NewSecret("identifier"), Key: handover.NewSecret("the token")},
		Deliver:   func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil },
	}
}

func TestConfigTakesTheLeast(t *testing.T) {
	for _, tier := range []handover.Tier{handover.TierWebsite, handover.TierPlugin, handover.TierUser} {
		c := goodConfig()
		c.Token.Tier = tier
		_, err := handover.New(c)
		require.NoError(t, err)
	}
}

func TestConfigNamesEveryFaultAtOnce(t *testing.T) {
	_, err := handover.New(handover.Config{})
	require.Error(t, err)
	for _, field := range []string{"WebsiteID", "Token.Tier", "Token.Identifier", "Token.Key", "Deliver"} {
		require.ErrorContains(t, err, field)
	}
	require.True(t, strings.HasPrefix(err.Error(), "handover: "), err)

	c := goodConfig()
	c.WebsiteID = "../other"
	c.Token.Tier = "admin"
	c.Webhook.Secrets = handover.NewSecrets("fine", "")
	c.NoAgentText = `[{"text":"hi","quick_replies":[{"content_type":"text"`
	c.Timeouts = handover.Timeouts{Open: -1, Reply: -1, Relay: -1, Max: -1, FollowUp: -1, Late: -1}
	c.History = handover.History{URL: "https://bot.example.com/h"}
	c.BaseURL = "ftp://api.example.com"
	c.Limits = handover.Limits{Workers: -1, Queue: -1, DailyCalls: -2, Attempts: -1, Text: -1, Files: -1, Waiting: -1}
	_, err = handover.New(c)
	for _, field := range []string{
		"WebsiteID", "Token.Tier", "Webhook.Secrets", "NoAgentText",
		"Timeouts.Open", "Timeouts.Reply", "Timeouts.Relay", "Timeouts.Max", "Timeouts.FollowUp", "Timeouts.Late",
		"History.SigningKey", "Transcript", "BaseURL",
		"Limits.Workers", "Limits.Queue", "Limits.DailyCalls", "Limits.Attempts", "Limits.Text", "Limits.Files", "Limits.Waiting",
	} {
		require.ErrorContains(t, err, field)
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		break_ func(*handover.Config)
		names  string
	}{
		"no website":            {func(c *handover.Config) { c.WebsiteID = "" }, "WebsiteID"},
		"a website with a path": {func(c *handover.Config) { c.WebsiteID = "a/b" }, "WebsiteID"},
		"no identifier":         {func(c *handover.Config) { c.Token.Identifier = handover.Secret{} }, "Token.Identifier"},
		"no key":                {func(c *handover.Config) { c.Token.Key = handover.Secret{} }, "Token.Key"},
		"an empty hook key": {func(c *handover.Config) {
			c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets("")}
		}, "Webhook.URLKeys"},
		"an empty no-agent message": {func(c *handover.Config) {
			c.NoAgent = []handover.RichMessage{{Text: "fine"}, {}}
		}, "NoAgent[1]"},
		"a no-agent choice too long for its payload": {func(c *handover.Config) {
			c.NoAgent = []handover.RichMessage{{Text: "fine", QuickReplies: []handover.QuickReply{{Title: strings.Repeat("a", 1001)}}}}
		}, "NoAgent[0]: handover: rich message: /quick_replies/0/payload"},
		"no-agent JSON of the wrong shape": {func(c *handover.Config) { c.NoAgentText = `{"text":7}` }, "NoAgentText"},
		"a short history key": {func(c *handover.Config) {
			c.History = handover.History{URL: "https://bot.example.com/h", SigningKey: handover.NewSecret("short")}
		}, "History.SigningKey"},
		"a history URL that is none": {func(c *handover.Config) {
			c.History = handover.History{URL: "/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		}, "History.URL"},
		"a website twice": {func(c *handover.Config) {
			c.Websites = []string{"7a3c5e10-6f0b-4d55-9c1e-000000000009", "7a3c5e10-6f0b-4d55-9c1e-000000000009"}
		}, "Websites[1] is there twice"},
		"a website among the keys that is not ours": {func(c *handover.Config) {
			c.Webhook.URLKeys = map[string][]handover.Secret{"7a3c5e10-6f0b-4d55-9c1e-000000000009": handover.NewSecrets("the hook key")}
		}, "Webhook.URLKeys"},
		"a website without a key": {func(c *handover.Config) {
			c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: nil}
		}, "has no key"},
		"a hook's age in nanoseconds":               {func(c *handover.Config) { c.Webhook.MaxAge = 15 }, "Webhook.MaxAge is 15ns, less than a second: write 15*time.Second"},
		"a negative age of hooks":                   {func(c *handover.Config) { c.Webhook.MaxAge = -time.Hour }, "Webhook.MaxAge"},
		"an unknown email policy":                   {func(c *handover.Config) { c.Policy.Email = "sometimes" }, "Policy.Email must be"},
		"an unknown fallback":                       {func(c *handover.Config) { c.Policy.NoteFallback = "metas" }, "Policy.NoteFallback must be"},
		"a bot without an origin":                   {func(c *handover.Config) { c.Policy.Bots = []string{"urn:acme:*", ""} }, "Policy.Bots[1] is empty"},
		"a pace below none":                         {func(c *handover.Config) { c.Limits.CreatesPerMinute = -2 }, "Limits.CreatesPerMinute"},
		"a choice of email that no message carries": {func(c *handover.Config) { c.Choices.Email = "EMAIL" }, "no message of NoAgent has the payload Choices.Email"},
		"a choice of the bot that no message carries": {func(c *handover.Config) {
			c.Choices.Bot = "BOT"
			c.NoAgent = []handover.RichMessage{{Text: "Nobody", QuickReplies: []handover.QuickReply{{Title: "Mail", Payload: "BOTH"}}}}
		}, "no message of NoAgent has the payload Choices.Bot"},
		"a choice that no text carries": {func(c *handover.Config) { c.Choices.Email, c.NoAgentText = "EMAIL", "Nobody is there" }, "Choices.Email"},
		"one choice for both": {func(c *handover.Config) {
			c.Choices = handover.Choices{Email: "GO", Bot: "GO"}
			c.NoAgent = []handover.RichMessage{{Text: "Nobody", QuickReplies: []handover.QuickReply{{Title: "Go", Payload: "GO"}}}}
		}, "must differ"},
		"a password in the base URL": {func(c *handover.Config) { c.BaseURL = "https://user:" + private + "@crisp.example.com/v1/" }, "BaseURL"},
		"a password in the history's URL": {func(c *handover.Config) {
			c.History = handover.History{URL: "https://user:" + private + "@bot.example.com/h", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		}, "History.URL"},
		"a base URL without a host": {func(c *handover.Config) { c.BaseURL = "https:///v1/" }, "BaseURL"},
		"a base URL that is none":   {func(c *handover.Config) { c.BaseURL = "https://a b/%" }, "BaseURL"},
	} {
		t.Run(name, func(t *testing.T) {
			c := goodConfig()
			tt.break_(&c)
			h, err := handover.New(c)
			require.ErrorContains(t, err, tt.names)
			require.NotContains(t, err.Error(), private)
			require.Nil(t, h)
		})
	}
}

// forbidden fails the test when it is used.
type forbidden struct{ t *testing.T }

func (f forbidden) RoundTrip(*http.Request) (*http.Response, error) {
	f.t.Error("New makes no calls")
	return nil, errors.New("forbidden")
}

func (f forbidden) Load(context.Context, string) (handover.Record, error) { return f.use() }
func (f forbidden) Find(context.Context, string) (handover.Record, error) { return f.use() }
func (f forbidden) Save(context.Context, handover.Record) (int64, error) {
	_, err := f.use()
	return 0, err
}
func (f forbidden) Claim(context.Context, int, time.Duration) ([]handover.Record, error) {
	_, err := f.use()
	return nil, err
}
func (f forbidden) Delete(context.Context, string, int64) error { _, err := f.use(); return err }

func (f forbidden) use() (handover.Record, error) {
	f.t.Error("New does not touch the store")
	return handover.Record{}, errors.New("forbidden")
}

func TestNewDoesNoIO(t *testing.T) {
	before := runtime.NumGoroutine()
	c := goodConfig()
	c.HTTPClient = &http.Client{Transport: forbidden{t}}
	c.Store = forbidden{t}
	c.Observe = func(context.Context, handover.Activity) { t.Error("nothing happened yet") }
	_, err := handover.New(c)
	require.NoError(t, err)
	require.LessOrEqual(t, runtime.NumGoroutine(), before, "New starts nothing")
}

func TestConfigIsCopied(t *testing.T) {
	var sources, bots []string
	var secrets []handover.Secret
	var noAgent []handover.RichMessage
	o := rig.Options{Crisp: handovertest.Options{Away: true}, Config: func(r *rig.Rig, c *handover.Config) {
		secrets, sources, bots = handover.NewSecrets(r.Crisp.Secret()), []string{"webchat"}, []string{"urn:acme:bot:*"}
		noAgent = []handover.RichMessage{{Text: "Nobody", QuickReplies: []handover.QuickReply{{ContentType: "text", Title: "Mail", Payload: "Contact me back via email"}}}}
		c.Webhook.Secrets, c.Sources, c.Policy.Bots, c.NoAgent = secrets, sources, bots, noAgent
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		secrets[0], sources[0], bots[0] = handover.NewSecret("changed"), "changed", "*"
		noAgent[0].Text = "changed"
		noAgent[0].QuickReplies[0].Title = "changed"
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
		require.Equal(t, []string{"system: Nobody [Mail]"}, r.Saw())
		r.Crisp.Online("Ann")
		r.After(time.Minute)
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		r.Crisp.Last().Operator("Ann").Say("hi")
		require.Contains(t, r.Saw(), "agent Ann: hi", "the hook is still verified, and Ann no bot")
	})
}

func TestSourcesEmptyAllowsAll(t *testing.T) {
	for name, sources := range map[string][]string{"nil": nil, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Sources = sources }}, func(r *rig.Rig) {
				for _, source := range []string{"webchat", "carrier pigeon", ""} {
					r.Conv.Source = source
					require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
				}
			})
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		calls := 0
		client := &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
			Transport: rig.RoundTrip(func(req *http.Request) (*http.Response, error) {
				if calls++; calls > 3 {
					return answer(req, 200, "{}"), nil
				}
				return answer(req, status, "", "Location", "https://evil.example.com/v1/"), nil
			}),
		}
		c := goodConfig()
		c.HTTPClient = client
		h, err := handover.New(c)
		require.NoError(t, err)
		require.Error(t, h.Check(t.Context()).Err())
		require.Equal(t, 1, calls, "a redirect would carry the token elsewhere")
		require.NoError(t, client.CheckRedirect(nil, nil), "the host's own client stays as it is")
	}
}

func TestBaseURLAndTier(t *testing.T) {
	for _, base := range []string{"https://crisp.example.com/api/v1", "https://crisp.example.com/api/v1/"} {
		c := goodConfig()
		c.BaseURL, c.Token.Tier = base, handover.TierPlugin
		c.HTTPClient = &http.Client{Transport: rig.RoundTrip(func(req *http.Request) (*http.Response, error) {
			require.True(t, strings.HasPrefix(req.URL.String(), "https://crisp.example.com/api/v1/website/"+c.WebsiteID), req.URL)
			require.Equal(t, "plugin", req.Header.Get("X-Crisp-Tier"))
			id, key, _ := req.BasicAuth()
			require.Equal(t, "identifier:the token", id+":"+key)
			return answer(req, 200, `{"error":false,"reason":"resolved","data":{}}`), nil
		})}
		h, err := handover.New(c)
		require.NoError(t, err)
		require.NoError(t, h.Check(t.Context()).Err())
	}
}

func TestOriginIsConfigured(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Origin = "urn:acme:handover:0" }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		r.Says("hello")
		ann := conv.Operator("Ann")
		fp := ann.Say("hi")
		ann.From("urn:acme:handover:0").Say("what bears our URN is ours")
		require.Equal(t, []string{"agent Ann: hi"}, rig.AgentsIn(r.Saw()))
		for _, m := range conv.Messages()[:2] {
			require.Equal(t, "urn:acme:handover:0", m.Origin)
		}
		m, _ := conv.Message(fp)
		require.Equal(t, "urn:acme:handover:0", m.Read)
	})
}

func TestBotsAreConfigured(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.Bots = []string{"urn:acme:*", "urn:other:bot:0"} }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		ann.From("urn:acme:flow:3").Say("I am a bot")
		ann.From("urn:other:bot:0").Say("me too")
		r.Crisp.Settle()
		require.Equal(t, handover.StateWaiting, r.Session().State, "a bot is no human sign")
		ann.From("urn:other:bot:01").Say("people answer from elsewhere")
		ann.From("urn:crisp.im:slack:0").Say("from Slack, too")
		require.Equal(t, []string{"agent Ann: people answer from elsewhere", "agent Ann: from Slack, too"}, rig.AgentsIn(r.Saw()))
	})
}

func TestNothingOfTheConfigPrintsItsSecrets(t *testing.T) {
	c := goodConfig()
	c.Token = handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret("the-identifier"), Key: handover.NewSecret("the-token-key")}
	c.Webhook = handover.Webhook{Secrets: handover.NewSecrets("the-secret"), URLKeys: map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets("the-hook-key")}}
	c.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret("the-history-key"), OldSigningKeys: handover.NewSecrets("the-old-key")}
	parts := []any{c.Token, c.Webhook, c.History, struct {
		handover.Token
		Webhook *handover.Webhook
		History handover.History
	}{c.Token, &c.Webhook, c.History}}
	var printed bytes.Buffer
	for _, part := range append(parts, c, &c) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			fmt.Fprintf(&printed, verb, part)
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "part", part)
	}
	for _, part := range parts {
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("x", "part", part)
		asJSON, err := json.Marshal(part)
		require.NoError(t, err)
		printed.Write(asJSON)
	}
	require.NotContains(t, printed.String(), "the-")
	require.Contains(t, printed.String(), "plugin token")
}

func TestDeadlinesHaveALeastAndAMost(t *testing.T) {
	for name, tt := range map[string]struct {
		timeouts handover.Timeouts
		says     string // empty: taken
	}{
		"seconds meant":             {handover.Timeouts{Claim: 10}, "Timeouts.Claim is 10ns, less than a second: write 10*time.Second"},
		"milliseconds":              {handover.Timeouts{Open: 999 * time.Millisecond}, "Timeouts.Open is 999ms, less than a second: write time.Second or more"},
		"the least":                 {handover.Timeouts{Open: time.Second, Claim: time.Second, Late: time.Second}, ""},
		"none":                      {handover.Timeouts{Claim: -1, Remind: -1, Idle: -1, Reopen: -1, CoolDown: -1}, ""},
		"a second less than none":   {handover.Timeouts{Claim: -time.Second}, "Timeouts.Claim is -1s: for no deadline write exactly -1"},
		"minus two":                 {handover.Timeouts{CoolDown: -2}, "Timeouts.CoolDown is -2ns: for no deadline write exactly -1"},
		"none where one is needed":  {handover.Timeouts{Max: -1}, "Timeouts.Max must be positive"},
		"less than none, needed":    {handover.Timeouts{Relay: -time.Hour}, "Timeouts.Relay must be positive"},
		"a year":                    {handover.Timeouts{Max: 365 * 24 * time.Hour}, ""},
		"more than anybody waits":   {handover.Timeouts{FollowUp: 11 * 365 * 24 * time.Hour}, "Timeouts.FollowUp is 96360h0m0s, more than ten years"},
		"the longest that there is": {handover.Timeouts{Late: math.MaxInt64}, "Timeouts.Late"},
	} {
		t.Run(name, func(t *testing.T) {
			c := goodConfig()
			c.Timeouts = tt.timeouts
			_, err := handover.New(c)
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				turn, started := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, started)
				_, started = r.H.Start(r.T.Context(), turn, handover.Request{Timeouts: tt.timeouts})
				if tt.says == "" {
					require.NoError(t, err)
					require.NoError(t, started)
					return
				}
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, started, tt.says)
				require.Equal(t, handover.StateBot, r.Session().State)
			})
		})
	}
}

func TestAWebhookWithoutProofIsSaidOnce(t *testing.T) {
	const said = "Webhook has neither a secret nor a key"
	for name, tt := range map[string]struct {
		webhook handover.Webhook
		want    int
	}{
		"nothing":  {handover.Webhook{MaxAge: time.Hour}, 1},
		"a secret": {handover.Webhook{Secrets: handover.NewSecrets("the secret")}, 0},
		"a key":    {handover.Webhook{URLKeys: map[string][]handover.Secret{goodConfig().WebsiteID: handover.NewSecrets("the hook key")}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			c := goodConfig()
			c.Store, c.Webhook, c.Logger = new(handover.MemoryStore), tt.webhook, slog.New(slog.NewTextHandler(&log, nil))
			_, err := handover.New(c)
			require.NoError(t, err)
			require.Equal(t, tt.want, strings.Count(log.String(), said))
			require.Equal(t, tt.want, strings.Count(log.String(), "level=WARN"))
		})
	}
}

func TestWhatMayBeMeantIsWarnedOf(t *testing.T) {
	keyed := handover.Webhook{URLKeys: map[string][]handover.Secret{goodConfig().WebsiteID: handover.NewSecrets("the hook key")}}
	signed := handover.Webhook{Secrets: handover.NewSecrets("the secret"), MaxAge: 15 * time.Minute}
	for name, tt := range map[string]struct {
		change func(c *handover.Config)
		says   string // empty: nothing
	}{
		"a short age of hooks":               {func(c *handover.Config) { c.Webhook.MaxAge = time.Minute }, "Config.Webhook.MaxAge is short"},
		"assignments that no hook tells of":  {func(c *handover.Config) { c.Webhook, c.Policy.ClaimOnAssign = keyed, true }, "ClaimOnAssign does nothing"},
		"assignments that signed hooks tell": {func(c *handover.Config) { c.Policy.ClaimOnAssign = true }, ""},
		"a token in the clear":               {func(c *handover.Config) { c.BaseURL = "http://proxy.example.com/v1/" }, "Config.BaseURL is not https"},
		"a proxy at home":                    {func(c *handover.Config) { c.BaseURL = "http://crisp-proxy:8080/v1/" }, ""},
		"a proxy by https":                   {func(c *handover.Config) { c.BaseURL = "https://proxy.example.com/v1/" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			c := goodConfig()
			c.Store, c.Webhook, c.Logger = new(handover.MemoryStore), signed, slog.New(slog.NewTextHandler(&log, nil))
			tt.change(&c)
			_, err := handover.New(c)
			require.NoError(t, err)
			want := 0
			if tt.says != "" {
				want = 1
			}
			require.Equal(t, want, strings.Count(log.String(), "level=WARN"))
			require.Contains(t, log.String(), tt.says)
		})
	}
}

func TestChoicesOfAllKindsAreTaken(t *testing.T) {
	quick := func(q handover.QuickReply) []handover.RichMessage {
		return []handover.RichMessage{{Text: "Nobody is there"}, {Text: "What now?", QuickReplies: []handover.QuickReply{q}}}
	}
	template := func(p handover.AttachmentPayload) []handover.RichMessage {
		return []handover.RichMessage{{Attachment: &handover.Attachment{Type: "template", Payload: p}}}
	}
	button := []handover.Button{{Type: "postback", Title: "Mail me", Payload: "EMAIL"}}
	for name, messages := range map[string][]handover.RichMessage{
		"payload": quick(handover.QuickReply{Title: "Mail me", Payload: "EMAIL"}),
		"title":   quick(handover.QuickReply{Title: "Email", Payload: "other"}),
		"button":  template(handover.AttachmentPayload{TemplateType: "button", Text: "What now?", Buttons: button}),
		"card":    template(handover.AttachmentPayload{TemplateType: "generic", Elements: []handover.Element{{Title: "What now?", Buttons: button}}}),
	} {
		t.Run(name, func(t *testing.T) {
			c := goodConfig()
			c.Choices.Email, c.NoAgent = "EMAIL", messages
			_, err := handover.New(c)
			require.NoError(t, err)
		})
	}
	c := goodConfig()
	c.NoAgent = []handover.RichMessage{{Text: "Nobody is there"}}
	_, err := handover.New(c)
	require.NoError(t, err, "choices that the host did not set need no quick reply")
}

func TestBotsByDefault(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		for _, origin := range []string{"urn:crisp.im:bot:0", "urn:crisp.im:triggers:0", "local"} {
			ann.From(origin).Say("I am nobody")
		}
		r.Crisp.Settle()
		require.Equal(t, handover.StateWaiting, r.Session().State, "nobody came")
		ann.From("urn:crisp.im:slack:0").Say("from Slack")
		require.Equal(t, []string{"agent Ann: from Slack"}, rig.AgentsIn(r.Saw()))
	})
}

func TestTextsAreConfigured(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Texts = func(s handover.Session) handover.Texts {
			texts := handover.DefaultTexts()
			if s.Locale == "fr" {
				texts.Waiting, texts.Leave, texts.Joined = "Quelqu'un arrive.", "Retour", "{agent} est là."
				texts.Opening = "Bonjour"
			}
			texts.Resolved = ""
			return texts
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Locale: "fr"}))
		require.Equal(t, []string{"system: Quelqu'un arrive. [Retour]"}, r.Saw())
		conv := r.Crisp.Last()
		require.Equal(t, []string{"Bonjour"}, rig.UserTexts(conv))
		conv.Operator("Ann").Say("oui ?")
		require.Equal(t, []string{"system: Ann est là.", "agent Ann: oui ?"}, r.Saw())
		conv.Operator("Ann").Resolve()
		require.Empty(t, r.Saw(), "an empty text is silent")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestTimeoutsOfOneRequest(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		_, err = r.H.Start(r.T.Context(), turn, handover.Request{Timeouts: handover.Timeouts{Open: -1}})
		require.ErrorContains(t, err, "Timeouts.Open")
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Timeouts: handover.Timeouts{Claim: time.Minute, Remind: -1}}))
		r.Saw()
		r.After(59 * time.Second)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		r.After(2 * time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
	})
}
