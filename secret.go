package handover

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/crisphandover/handover/internal/hooksign"
)

// Secret is a text that no form of printing shows: neither fmt with any verb, nor log/slog, nor
// JSON. That holds in an unexported field of a struct too, where fmt calls no methods and would
// read a string. Make it with NewSecret. The zero Secret is empty.
type Secret struct {
	// A function is the one kind of value that fmt and reflection see nothing in: a pointer
	// would be followed.
	open func() *hooksign.Key
}

// NewSecret hides a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	key := hooksign.NewKey(text)
	return Secret{open: func() *hooksign.Key { return key }}
}

// NewSecrets hides several texts, for lists such as Webhook.Secrets.
func NewSecrets(texts ...string) []Secret {
	list := make([]Secret, len(texts))
	for i, text := range texts {
		list[i] = NewSecret(text)
	}
	return list
}

// textsOf returns what is hidden in several.
func textsOf(secrets []Secret) []string {
	texts := make([]string, len(secrets))
	for i, s := range secrets {
		texts[i] = s.Reveal()
	}
	return texts
}

// Reveal returns the text, for those who call with it, such as a channel's API. Let it go nowhere but into a
// computation or the head of a request: an URL stands in errors and logs.
func (s Secret) Reveal() string {
	if s.open == nil {
		return ""
	}
	return s.open().Secret()
}

// Equal reports whether both hide the same text. The time it takes tells nothing about them.
func (s Secret) Equal(other Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String says whether there is a secret, not which.
func (s Secret) String() string {
	if s.open == nil {
		return "[empty]"
	}
	return "[hidden]"
}

// Format writes String, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the text out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// minSecret is the shortest secret, key or token that New takes, in characters. Crisp's own are
// far longer.
const minSecret = 8

// fault says why this cannot be a secret that Crisp gave or that is hard to guess, and what to do;
// "" if it can.
func (s Secret) fault() string {
	text := s.Reveal()
	switch {
	case text == "":
		return "is empty: set it, or leave it out"
	case strings.TrimSpace(text) != text:
		return "begins or ends with white space, as a text does that was read from a file with its line break: trim it"
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "holds a control character, or is not UTF-8: copy it once more"
	case utf8.RuneCountInString(text) < minSecret:
		return fmt.Sprintf("has fewer than %d characters, and could be guessed: copy it as Crisp shows it; for a key of your own take 32 random characters", minSecret)
	}
	return ""
}

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
	if t.Identifier.Reveal() == "" || t.Key.Reveal() == "" {
		fault("Token.Identifier and Token.Key must be set")
		return
	}
	if why := t.Identifier.fault(); why != "" {
		fault("Token.Identifier %s", why)
	}
	if why := t.Key.fault(); why != "" {
		fault("Token.Key %s", why)
	}
	if strings.Contains(t.Identifier.Reveal(), ":") {
		fault("Token.Identifier has a colon: it is the part before it, and Token.Key the part after it")
	}
	if t.Identifier.Equal(t.Key) {
		fault("Token.Identifier and Token.Key are the same: copy each as Crisp shows it")
	}
}
