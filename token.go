package handover

import (
	"fmt"
	"io"
	"log/slog"
)

// Tier is the kind of a Crisp token, sent as X-Crisp-Tier with every call.
type Tier string

// The tiers of Crisp's tokens. Crisp's documentation of April 2026 offers TierWebsite and
// TierPlugin; TierUser is for those who still have such a token.
const (
	TierWebsite Tier = "website"
	TierPlugin  Tier = "plugin"
	TierUser    Tier = "user"
)

// Token is a Crisp API token, as Crisp shows it. It prints without its identifier and key.
type Token struct {
	Tier            Tier
	Identifier, Key Secret
}

// String returns the token without its identifier and key.
func (t Token) String() string { return string(t.Tier) + " token" }

// Format writes String, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue keeps the key out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText keeps the key out of JSON.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// check names what is wrong with the token.
func (t Token) check(fault func(string, ...any)) {
	switch t.Tier {
	case TierWebsite, TierPlugin, TierUser:
	default:
		fault("Token.Tier must be TierWebsite, TierPlugin or TierUser")
	}
	if t.Identifier.text() == "" || t.Key.text() == "" {
		fault("Token.Identifier and Token.Key must be set")
		return
	}
	if why := t.Identifier.fault(); why != "" {
		fault("Token.Identifier %s", why)
	}
	if why := t.Key.fault(); why != "" {
		fault("Token.Key %s", why)
	}
}
