package webchat

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/tokenclient"
)

// Config is what a host tells New. URL and Key are required.
type Config struct {
	// URL is where the Handler is reached from outside, such as "https://shop.example/chat/". Its path is where
	// the host mounts it. Agents open the files of users below it: on a machine that only you reach, set
	// Policy.LocalFiles of handover.Config, or files are refused. With https the session's cookie is Secure.
	URL string
	// Key signs the sessions: at least 32 random bytes, the same on each replica.
	Key handover.Secret
	// OldKeys are former keys whose sessions still count.
	OldKeys []handover.Secret

	// Source is the Conversation.Source of this chat. Default: "webchat".
	Source string
	// Title stands above the messages. Default: "Chat", in the user's language.
	Title string
	// Locale is the language of users who ask for none that there is. Default: "en".
	Locale string
	// Welcome is shown while nothing was said yet: a greeting, and suggestions as its quick replies. One that is
	// chosen comes as a message with its payload. Default: a short text of the page's own.
	Welcome func(v Visitor) handover.RichMessage
	// Request makes the request of the page's button "Talk to a human". Default: the visitor's data and locale.
	Request func(v Visitor) handover.Request
	// NoHumanButton leaves that button out: users ask the bot for a human.
	NoHumanButton bool

	// FrameAncestors are the sites besides the Handler's own whose pages may show the chat, as sources of a
	// Content-Security-Policy: "https://www.shop.example". Browsers keep the session's cookie only where both
	// are of one site, such as shop.example.
	FrameAncestors []string
	// TrustProxy believes X-Forwarded-Proto and the last of X-Forwarded-For. Set it only where a proxy of yours
	// writes both.
	TrustProxy bool

	// Store keeps the messages. Default: a MemoryStore.
	Store Store
	// Files keeps the users' files. Default: MemoryFiles.
	Files Files
	// Limits bound what one session may do.
	Limits Limits
	// Logger gets faults that nobody waits for. Default: slog.Default.
	Logger *slog.Logger
	// HTTPClient fetches agents' pictures from Crisp's servers, so that the page asks nobody else. Its redirects
	// are not followed. Default: a client of its own.
	HTTPClient *http.Client
}

// Limits bound what a session may do. Beyond them the page waits, or the user is told.
type Limits struct {
	Messages int // a minute. Default: 30
	Files    int // a minute. Default: 10
	FileSize int // bytes. Default: 5 MiB
	Pages    int // that a session has open at the same time. Default: 10
	// Sessions is how many new sessions without a login come from one address in a minute. Default: 60. Behind a
	// proxy it counts only with TrustProxy: else all users come from the proxy's address.
	Sessions int
}

const (
	defaultSource = "webchat"
	defaultLocale = "en"
	minKey        = 32  // bytes
	typingSigns   = 20  // a minute; agents hear of one in 4 s
	otherCalls    = 20  // a minute: the buttons, and the begin of sessions
	pictureCalls  = 120 // a minute
)

// ancestor is a source of a Content-Security-Policy: no space, no semicolon, no keyword.
var ancestor = regexp.MustCompile(`^https?://[A-Za-z0-9.*:\[\]-]+$`)

// prepare returns a copy with its defaults, or an error that names every bad field.
func (c Config) prepare() (Config, *url.URL, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	base, err := url.Parse(c.URL)
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		fault("URL must be the absolute http or https URL at which the handler is mounted, such as https://shop.example/chat/")
	} else if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	for _, key := range append([]handover.Secret{c.Key}, c.OldKeys...) {
		if len(key.Reveal()) < minKey {
			fault("Key, and each of OldKeys, must have at least %d bytes: take random ones", minKey)
			break
		}
	}
	for i, source := range c.FrameAncestors {
		if !ancestor.MatchString(source) {
			fault("FrameAncestors[%d] must be a site such as https://www.shop.example", i)
		}
	}
	if c.Locale != "" && language(c.Locale) == "" {
		fault("Locale must be one of %s", strings.Join(languages(), ", "))
	}
	if len(faults) > 0 {
		return Config{}, nil, fmt.Errorf("webchat: config: %w", errors.Join(faults...))
	}
	c.defaults()
	return c, base, nil
}

// defaults fills in what is not set.
func (c *Config) defaults() {
	if c.Source == "" {
		c.Source = defaultSource
	}
	if c.Locale == "" {
		c.Locale = defaultLocale
	}
	if c.Request == nil {
		c.Request = func(v Visitor) handover.Request { return handover.Request{User: v.User, Locale: v.Locale} }
	}
	if c.Store == nil {
		c.Store = &MemoryStore{}
	}
	if c.Files == nil {
		c.Files = &MemoryFiles{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.HTTPClient = tokenclient.Of(c.HTTPClient)
	l := &c.Limits
	l.Messages, l.Files, l.Pages, l.Sessions = or(l.Messages, 30), or(l.Files, 10), or(l.Pages, 10), or(l.Sessions, 60)
	l.FileSize = or(l.FileSize, 5<<20)
}

// keys are the texts of Key and OldKeys.
func (c *Config) keys() []string {
	keys := []string{c.Key.Reveal()}
	for _, k := range c.OldKeys {
		keys = append(keys, k.Reveal())
	}
	return keys
}

// String says where the chat is, without keys.
func (c Config) String() string { return "webchat at " + c.URL }
