package handover

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/website"
)

// sites are the websites that the token speaks for, by their ids.
type sites map[string]*website.Site

// newSites returns the websites of a configuration. process names this process among those that share them.
func newSites(cfg *Config, store *storage, process string, tell func(...Activity)) sites {
	all := make(sites)
	for _, id := range cfg.websites() {
		key := websitePrefix + id
		all[id] = website.New(website.Config{
			API: crispConfig(cfg, id, tell), Store: websiteStore{store, key}, Process: process,
			PerMinute: cfg.Limits.CreatesPerMinute, Every: website.Every(cfg.Limits.DailyCalls, 1+len(cfg.Websites)),
			Broken: func(err error) {
				cfg.Logger.Error("handover: the website's record cannot be read, and begins anew", "key", key, "error", shapeOf(err))
			},
		})
	}
	return all
}

// websitePrefix begins the keys of websites' records; those of conversations begin with a
// website's id.
const websitePrefix = "website/"

// websiteStore keeps the record of a website.
type websiteStore struct {
	*storage
	key string
}

// Change implements website.Store.
func (s websiteStore) Change(ctx context.Context, f func([]byte) ([]byte, time.Time, error)) error {
	err := s.change(ctx, s.key, func(r *Record) (err error) {
		r.Data, r.Due, err = f(r.Data)
		return err
	})
	if errors.Is(err, website.ErrLaterVersion) {
		return errLaterVersion
	}
	return err
}

// Now implements website.Store.
func (s websiteStore) Now() time.Time { return s.now() }

// callTimeout bounds one call to Crisp.
const callTimeout = crispapi.CallTimeout

// crispConfig says how Crisp is called for one website. Nothing is repeated there: what is tried again is written
// in the record first.
func crispConfig(cfg *Config, website string, tell func(...Activity)) crispapi.Config {
	return crispapi.Config{
		BaseURL: cfg.BaseURL, WebsiteID: website, HTTP: cfg.HTTPClient,
		Token:   crispapi.Token{Identifier: cfg.Token.Identifier.Reveal(), Key: cfg.Token.Key.Reveal(), Tier: string(cfg.Token.Tier)},
		OnPanic: func(stack string) { cfg.Logger.Error("handover: the HTTP transport panicked", "stack", stack) },
		OnCall: func(ctx context.Context, c crispapi.Call) {
			a := purposeOf(ctx)
			a.Kind, a.Effect, a.Took, a.At = ActivityCall, c.Op, c.Took, c.Begun
			if a.TraceParent == "" {
				a.TraceParent = cfg.traceOf(ctx)
			}
			if c.Err != nil {
				a.Err = newAPIError(c.Err)
			}
			tell(a)
		},
		Fault: func(e *crispapi.Error) error { return newAPIError(e) },
	}
}

// of returns the website of a record, which is the one that the conversation began with.
func (all sites) of(rec *record) *website.Site { return all[rec.Website] }

// told is by how much Crisp's clock is ahead of this machine's, as an answer told it; false if none has.
func (all sites) told(website string) (time.Duration, bool) {
	if s := all[website]; s != nil {
		return s.API.Ahead()
	}
	return 0, false
}

// websites are the ids of all websites, Config.WebsiteID first.
func (c *Config) websites() []string { return append([]string{c.WebsiteID}, c.Websites...) }

// website returns the id of the website that a conversation is handed to.
func (c *Config) website(conv Conversation) string { return cmp.Or(conv.WebsiteID, c.WebsiteID) }

// key names the record of a conversation that begins now.
func (c *Config) key(conv Conversation) string { return c.website(conv) + "/" + conv.path() }

// path is what names the conversation within a website, in its record's key.
func (c Conversation) path() string { return url.PathEscape(c.Source) + "/" + url.PathEscape(c.ID) }

// presenceAt asks whether visitors see the website as online.
func presenceAt(ctx context.Context, s *website.Site) (Presence, error) {
	status, err := s.Presence(ctx)
	if err != nil || status == "" {
		return PresenceUnknown, err
	}
	return Presence(status), nil
}

// missHooks says in the log, once an hour, that catch-up finds what hooks should have told of, if none has ever come.
func (h *engine) missHooks(s *website.Site) {
	if known := s.Known(); s.LastHook(&known).IsZero() && s.Advise("hooks") {
		h.cfg.Logger.Warn("handover: Crisp's list tells of a change, and no hook has come yet: without hooks agents' words come minutes late. "+
			"Check says what to look at", "website", s.ID)
	}
}
