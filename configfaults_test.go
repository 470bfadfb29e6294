package handover_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// What nobody can mean is refused, each with what to do.
func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	quick := func(payload string) []handover.RichMessage {
		return []handover.RichMessage{{Text: "Nobody", QuickReplies: []handover.QuickReply{{Title: "Go", Payload: payload}}}}
	}
	const website = `WebsiteID must be the website's UUID in lower case, as Crisp's setup instructions show it`
	const another = `Websites[0] must be the UUID of another website than WebsiteID, in lower case`
	const url = `BaseURL must be an http or https URL, without a user name, password, query or fragment: leave it empty for Crisp's`
	const origin = `Origin must be "chat" or a URN such as "urn:account:plugin:0", without white space: leave it empty for "chat"`
	const choices = `the payloads Choices.Email and Choices.Bot must differ: give each quick reply its own`
	for says, mistakes := range map[string][]func(c *handover.Config){
		website: {
			func(c *handover.Config) { c.WebsiteID = strings.ToUpper(c.WebsiteID) },
			func(c *handover.Config) { c.WebsiteID = "7a3c5e10" },
			func(c *handover.Config) { c.WebsiteID = strings.ReplaceAll(c.WebsiteID, "-", "a") },
			func(c *handover.Config) { c.WebsiteID += " " },
		},
		another: {
			func(c *handover.Config) { c.Websites = []string{c.WebsiteID} },
			func(c *handover.Config) { c.Websites = []string{""} },
			func(c *handover.Config) { c.Websites = []string{"second"} },
		},
		`Token.Identifier has a colon: it is the part before it, and Token.Key the part after it`: {
			func(c *handover.Config) { c.Token.Identifier = handover.NewSecret("identifier:the token") },
		},
		`Token.Identifier and Token.Key are the same: copy each as Crisp shows it`: {
			func(c *handover.Config) { c.Token.Key = c.Token.Identifier },
		},
		`NoAgent and NoAgentText are both set: leave one out`: {
			func(c *handover.Config) { c.NoAgent, c.NoAgentText = quick("GO"), "Nobody" },
		},
		`NoAgent has 21 messages, more than 20: leave some out`: {
			func(c *handover.Config) {
				for range 21 {
					c.NoAgent = append(c.NoAgent, handover.RichMessage{Text: "Nobody"})
				}
			},
		},
		choices: {
			func(c *handover.Config) {
				c.Choices, c.NoAgent = handover.Choices{Bot: "contact me back via email"}, quick("contact me back via email")
			},
			func(c *handover.Config) {
				c.Choices, c.NoAgent = handover.Choices{Email: "GO", Bot: "Go."}, quick("GO")
			},
		},
		`no message of NoAgent has the payload Choices.Email: give it to a quick reply there, or leave Choices.Email empty`: {
			func(c *handover.Config) { c.Choices.Email = "EMAIL" },
		},
		`Timeouts.Answer is set and Answer is not, which alone it is about: set Answer, or leave it out`: {
			func(c *handover.Config) { c.Timeouts.Answer = time.Minute },
		},
		`Limits.Answers is set and Answer is not, which alone it is about: set Answer, or leave it out`: {
			func(c *handover.Config) { c.Limits.Answers = 8 },
		},
		`Limits.Workers is -1: write a positive number, or leave it out for 128`: {
			func(c *handover.Config) { c.Limits.Workers = -1 },
		},
		`Limits.CreatesPerMinute is -2: write a positive number, -1 for no pace, or leave it out for 25`: {
			func(c *handover.Config) { c.Limits.CreatesPerMinute = -2 },
		},
		`Sources[1] is empty: leave it out; without any source all channels are allowed`: {
			func(c *handover.Config) { c.Sources = []string{"webchat", ""} },
		},
		`Sources[1] begins or ends with white space: trim it`: {
			func(c *handover.Config) { c.Sources = strings.Split("webchat, telegram", ",") },
		},
		`Sources[1] is there twice: leave it out`: {
			func(c *handover.Config) { c.Sources = []string{"webchat", "webchat"} },
		},
		`Policy.Bots[0] stands for "chat" too, with which agents write from Crisp's app: no agent would be heard. Write the bot's own origin`: {
			func(c *handover.Config) { c.Policy.Bots = []string{"*"} },
			func(c *handover.Config) { c.Policy.Bots = []string{"chat"} },
			func(c *handover.Config) { c.Policy.Bots = []string{"ch*"} },
		},
		`Policy.Bots[0] has a * before its end, which stands for nothing there: end the pattern with it`: {
			func(c *handover.Config) { c.Policy.Bots = []string{"urn:*:bot:0"} },
		},
		`Policy.Email must be EmailAlways, EmailWhenAway or EmailNever`: {
			func(c *handover.Config) { c.Policy.Email = "sometimes" },
		},
		`field History.TTL is 30ns, less than a second: write 30*time.Second; 0 is 30 days: a link always expires`: {
			func(c *handover.Config) { c.History.TTL = 30 },
		},
		`HTTPClient.Timeout is 10ns, less than a second: write 10*time.Second`: {
			func(c *handover.Config) { c.HTTPClient = &http.Client{Timeout: 10} },
		},
		`HTTPClient.Transport holds a nil *http.Transport: set a transport, or leave it out`: {
			func(c *handover.Config) { c.HTTPClient = &http.Client{Transport: (*http.Transport)(nil)} },
		},
		`Store holds a nil *handover.MemoryStore: set a store, or leave it out for a MemoryStore`: {
			func(c *handover.Config) { c.Store = (*handover.MemoryStore)(nil) },
		},
		`Logger has no handler: make it with slog.New, or leave it out for slog.Default`: {
			func(c *handover.Config) { c.Logger = new(slog.Logger) },
			func(c *handover.Config) { c.Logger = slog.New((*slog.TextHandler)(nil)) },
		},
		url: {
			func(c *handover.Config) { c.BaseURL = "https://api.crisp.chat/v1/?tier=plugin" },
			func(c *handover.Config) { c.BaseURL = "https://api.crisp.chat/v1/#top" },
			func(c *handover.Config) { c.BaseURL = "api.crisp.chat/v1/" },
		},
		origin: {
			func(c *handover.Config) { c.Origin = "my bot" },
			func(c *handover.Config) { c.Origin = "urn:acme: handover:0" },
			func(c *handover.Config) { c.Origin = "urn:acme:*" },
		},
	} {
		for _, mistake := range mistakes {
			c := goodConfig()
			mistake(&c)
			_, err := handover.New(c)
			require.EqualError(t, err, "handover: config: "+says)
		}
	}
}

// Faults of all kinds are named at once.
func TestNewNamesFaultsOfAllKindsAtOnce(t *testing.T) {
	c := goodConfig()
	c.WebsiteID, c.Sources, c.Store, c.Limits.Workers, c.Policy.Bots = "x", []string{""}, (*handover.MemoryStore)(nil), -1, []string{"*"}
	_, err := handover.New(c)
	require.Len(t, strings.Split(err.Error(), "\n"), 5, err)
}

// Without a store, New says once that the state dies with the process, unless that is meant.
func TestNewSaysThatTheStateDiesWithTheProcess(t *testing.T) {
	for name, tt := range map[string]struct {
		store handover.Store
		want  int
	}{"none": {nil, 1}, "in memory, and meant": {new(handover.MemoryStore), 0}} {
		t.Run(name, func(t *testing.T) {
			l := new(rig.Log)
			c := goodConfig()
			c.Store, c.Logger, c.Webhook.Secrets = tt.store, l.Logger(), handover.NewSecrets("the secret")
			_, err := handover.New(c)
			require.NoError(t, err)
			require.Equal(t, tt.want, l.Count("level=WARN"))
			require.Equal(t, tt.want, l.Count("Config.Store is not set: all state dies with the process"))
		})
	}
}

func TestBadRichMessagesInTheConfig(t *testing.T) {
	for name, text := range map[string]string{
		"a quick reply without a title": `{"text":"hi","quick_replies":[{"content_type":"text","payload":"x"}]}`,
		"a javascript link":             `{"attachment":{"type":"template","payload":{"template_type":"button","text":"a","buttons":[{"type":"web_url","url":"javascript:alert(1)","title":"x"}]}}}`,
		"doubled names":                 `{"text":"a","text":"b"}`,
		"empty text":                    `{"text":""}`,
		"white space":                   `[{"text":" \n"}]`,
		"wrong types":                   `{"text":{"a":1}}`,
		"nested":                        strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			c := goodConfig()
			c.NoAgentText = text
			_, err := handover.New(c)
			require.ErrorContains(t, err, "NoAgentText")
		})
	}
}
