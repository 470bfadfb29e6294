package handover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// keeper is a host's own type that keeps what it made in fields that fmt calls no methods of.
type keeper struct {
	config  handover.Config
	pointer *handover.Config
	parts   map[string]any
	token   handover.Token
	webhook handover.Webhook
	history []handover.History
	secret  handover.Secret
	handler any
}

// words is what a failed test says.
type words struct{ bytes.Buffer }

func (w *words) Errorf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func TestNoFormOfPrintingShowsASecret(t *testing.T) {
	var logged bytes.Buffer
	c := goodConfig()
	c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	c.Token = handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(hush("identifier")), Key: handover.NewSecret(hush("token"))}
	c.Webhook = handover.Webhook{
		Secrets: handover.NewSecrets(hush("secret")), URLKeys: map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets(hush("hookkey"))},
	}
	c.History = handover.History{
		URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(hush(strings.Repeat("k", 32))), OldSigningKeys: handover.NewSecrets(hush(strings.Repeat("o", 32))),
	}
	c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, nil }
	h, err := handover.New(c)
	require.NoError(t, err)
	keep := keeper{c, &c, map[string]any{"config": c, "token": &c.Token}, c.Token, c.Webhook, []handover.History{c.History}, c.Token.Key, h}
	values := map[string]any{
		"handover": h, "config": c, "config pointer": &c, "token": c.Token, "token pointer": &c.Token, "webhook": c.Webhook,
		"history": c.History, "history page": h.HistoryHandler(), "secret": c.Token.Key, "secrets": c.Webhook.Secrets, "keys": c.Webhook.URLKeys,
		"kept": keep, "kept pointer": &keep, "exported": struct{ Config handover.Config }{c}, "list": []any{c, &c, h, keep},
		"error": fmt.Errorf("it failed: %w", fmt.Errorf("with %v and %+v", c, keep)), "map": map[string]any{"x": keep},
		"texts": handover.DefaultTexts(),
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, verb := range strings.Split("v +v #v s q +q #q d b o O c U x X #x % x t e f g p T w", " ") {
				fmt.Fprintf(&out, "%"+verb+"\n", value)
			}
			fmt.Fprintln(&out, value, errors.Join(fmt.Errorf("%v", value)))
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).Info("it", "value", value, slog.Group("group", "value", value))
			}
			if text, err := json.Marshal(value); err == nil {
				out.Write(text)
			} else {
				fmt.Fprint(&out, err)
			}
			requireNoSecret(t, out.String())
			if name == "handover" || name == "list" {
				return // these hold Crisp's client, which has the token as it sends it
			}
			var failed words
			assert.Equal(&failed, "something else", value) // prints past all methods and pointers
			requireNoSecret(t, failed.String())
		})
	}
	requireNoSecret(t, logged.String())
}

// requireNoSecret looks for private words, as they are and in hexadecimal.
func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	plain := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	for _, secret := range []string{private, fmt.Sprintf("%x", private), strings.ReplaceAll(fmt.Sprintf("%#x", []byte(private)), "0x", "")} {
		if at := strings.Index(plain, secret); at >= 0 {
			require.Fail(t, "a secret is printed", "%.200s", plain[max(0, at-100):])
		}
	}
}

func TestSecretsCanBeCompared(t *testing.T) {
	require.True(t, handover.NewSecret("the key").Equal(handover.NewSecret("the key")))
	require.False(t, handover.NewSecret("the key").Equal(handover.NewSecret("the keys")))
	require.True(t, handover.Secret{}.Equal(handover.NewSecret("")))
	require.Equal(t, "[hidden] [empty]", fmt.Sprint(handover.NewSecret("x"), " ", handover.Secret{}))
}

func TestNewRefusesWhatCannotBeASecret(t *testing.T) {
	for name, tt := range map[string]struct{ secret, says string }{
		"none":                    {"", "is empty"},
		"one letter":              {"a", "fewer than 8 characters"},
		"seven letters":           {"äöüäöüä", "fewer than 8 characters"},
		"a line break at its end": {hush("key") + "\n", "trim it"},
		"a line break of Windows": {hush("key") + "\r\n", "trim it"},
		"a space before it":       {" " + hush("key"), "trim it"},
		"a tab in it":             {hush("the\tkey"), "control character"},
		"NUL":                     {hush("the\x00key"), "control character"},
		"another encoding":        {hush("the\xffkey"), "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			for field, set := range map[string]func(*handover.Config, handover.Secret){
				"Token.Identifier": func(c *handover.Config, s handover.Secret) { c.Token.Identifier = s },
				"Token.Key":        func(c *handover.Config, s handover.Secret) { c.Token.Key = s },
				"Webhook.Secrets[1]": func(c *handover.Config, s handover.Secret) {
					c.Webhook.Secrets = []handover.Secret{handover.NewSecret("good enough"), s}
				},
				`Webhook.URLKeys["7a3c5e10-6f0b-4d55-9c1e-000000000001"][0]`: func(c *handover.Config, s handover.Secret) {
					c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: {s}}
				},
			} {
				c := goodConfig()
				set(&c, handover.NewSecret(tt.secret))
				_, err := handover.New(c)
				require.ErrorContains(t, err, field)
				if tt.secret != "" {
					require.ErrorContains(t, err, tt.says)
				}
				require.NotContains(t, err.Error(), private)
			}
		})
	}
	for _, good := range []string{"12345678", "a b c d e", "kéy+with%41&", strings.Repeat("x", 5000)} {
		c := goodConfig()
		c.Webhook.Secrets = handover.NewSecrets(good)
		_, err := handover.New(c)
		require.NoError(t, err)
	}
}
