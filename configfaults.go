package handover

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/crisphandover/handover/internal/times"
	"github.com/crisphandover/handover/internal/weblink"
)

// faultf notes what is wrong with a Config, and what to do.
type faultf func(format string, args ...any)

// refuse names what a host cannot mean, in the fields as they were given: what would be silent, or do
// nothing.
func (c *Config) refuse(fault faultf) {
	c.refuseNil(fault)
	c.refuseWithoutAnswer(fault)
	c.refuseSources(fault)
	if len(c.NoAgent) > 0 && c.NoAgentText != "" {
		fault("NoAgent and NoAgentText are both set: leave one out")
	}
	if len(c.NoAgent) > maxNoAgent {
		fault("NoAgent has %d messages, more than %d: leave some out", len(c.NoAgent), maxNoAgent)
	}
	if c.Origin != "" && c.Origin != defaultOrigin && (!strings.HasPrefix(c.Origin, "urn:") || strings.ContainsFunc(c.Origin, notOfURN)) {
		fault(`Origin must be "chat" or a URN such as "urn:account:plugin:0", without white space: leave it empty for "chat"`)
	}
	if c.HTTPClient != nil && c.HTTPClient.Timeout != 0 {
		if why := times.SpanFault(c.HTTPClient.Timeout); why != "" {
			fault("HTTPClient.Timeout %s", why)
		}
	}
}

// notOfURN reports whether a character cannot be in an origin.
func notOfURN(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '*' }

// refuseNil names what is set and holds nothing, which would panic at its first use.
func (c *Config) refuseNil(fault faultf) {
	if isNil(c.Store) {
		fault("Store holds a nil %T: set a store, or leave it out for a MemoryStore", c.Store)
	}
	if c.HTTPClient != nil && isNil(c.HTTPClient.Transport) {
		fault("HTTPClient.Transport holds a nil %T: set a transport, or leave it out", c.HTTPClient.Transport)
	}
	if c.Logger != nil && (c.Logger.Handler() == nil || isNil(c.Logger.Handler())) {
		fault("Logger has no handler: make it with slog.New, or leave it out for slog.Default")
	}
}

// isNil reports whether an interface is set and what is in it is nil.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan, reflect.Interface:
		return r.IsNil()
	}
	return false
}

// refuseWithoutAnswer names the settings that only Answer uses. Timeouts.Unanswered is none of them, see beginAnswer.
func (c *Config) refuseWithoutAnswer(fault faultf) {
	if c.Answer != nil {
		return
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"Timeouts.Answer", c.Timeouts.Answer != 0}, {"Limits.Answers", c.Limits.Answers != 0}} {
		if f.set {
			fault("%s is set and Answer is not, which alone it is about: set Answer, or leave it out", f.name)
		}
	}
}

// refuseSources names channels that no conversation can be of.
func (c *Config) refuseSources(fault faultf) {
	for i, source := range c.Sources {
		switch {
		case source == "":
			fault("Sources[%d] is empty: leave it out; without any source all channels are allowed", i)
		case strings.TrimSpace(source) != source:
			fault("Sources[%d] begins or ends with white space: trim it", i)
		case slices.Contains(c.Sources[:i], source):
			fault("Sources[%d] is there twice: leave it out", i)
		}
	}
}

// refuse names patterns that would make agents bots, or match nothing.
func (p *Policy) refuse(fault faultf) {
	for i, pattern := range p.Bots {
		switch star := strings.IndexByte(pattern, '*'); {
		case pattern == "":
			fault("Policy.Bots[%d] is empty: write an origin, or leave it out", i)
		case star >= 0 && star < len(pattern)-1:
			fault("Policy.Bots[%d] has a * before its end, which stands for nothing there: end the pattern with it", i)
		}
	}
	if i := slices.IndexFunc(p.Bots, func(pattern string) bool { return (&Policy{Bots: []string{pattern}}).isBot(defaultOrigin) }); i >= 0 {
		fault(`Policy.Bots[%d] stands for "chat" too, with which agents write from Crisp's app: no agent would be heard. Write the bot's own origin`, i)
	}
}

// leastMaxAge is the least Webhook.MaxAge that hosts are not warned of.
const leastMaxAge = 15 * time.Minute

// warn says in the log what works, and not as most hosts want it. stored is false without a Store of the host's.
func (c *Config) warn(stored bool) {
	if !c.Webhook.proves() {
		c.Logger.Warn("handover: Config.Webhook has neither a secret nor a key: ServeHTTP refuses every hook. " +
			"Set Webhook.Secrets or Webhook.URLKeys, unless you receive hooks with ReadEvent and HandleEvent")
	}
	if age := c.Webhook.MaxAge; age > 0 && age < leastMaxAge {
		c.Logger.Warn("handover: Config.Webhook.MaxAge is short: hooks that Crisp repeats, or that come late, may be refused. Set 15 minutes or more", "max_age", age)
	}
	if c.Policy.ClaimOnAssign && len(c.Webhook.Secrets) == 0 && c.Webhook.proves() {
		c.Logger.Warn("handover: Config.Policy.ClaimOnAssign does nothing: Crisp tells only a plugin's hooks of an assignment, which need Webhook.Secrets")
	}
	if u, err := url.Parse(c.BaseURL); err == nil && u.Scheme == "http" && !weblink.Local(u.Hostname()) {
		c.Logger.Warn("handover: Config.BaseURL is not https: whoever listens on the way reads the token and what people write")
	}
	if !stored {
		c.Logger.Warn("handover: Config.Store is not set: all state dies with the process. " +
			"Set a durable store, such as one of package sqlstore; &handover.MemoryStore{} says that you mean it")
	}
}

// isUUID reports whether a text is a UUID in lower case.
func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, r := range id {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (r == '-') || !dash && !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return true
}
