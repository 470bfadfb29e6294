package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/hooksign"
	"github.com/crisphandover/handover/internal/httpbody"
	"github.com/crisphandover/handover/internal/times"
)

// The HookErrors of a request.
var (
	errNotPost   = &HookError{http.StatusMethodNotAllowed, "a web hook must be a POST request"}
	errNotSigned = &HookError{http.StatusUnauthorized, "web hook without a signature or key to check: " +
		"set Webhook.Secrets for a plugin hook; set Webhook.URLKeys for a website hook, and end its URL in Crisp with ?key="}
	errBadSignature = &HookError{http.StatusForbidden, "the web hook's signature or key is wrong: " +
		"compare Webhook.Secrets and Webhook.URLKeys with those in Crisp, and pass the body on unchanged"}
	errTooOld   = &HookError{http.StatusForbidden, "the web hook is older than Webhook.MaxAge"}
	errTooNew   = &HookError{http.StatusForbidden, "the web hook's time is further ahead than Webhook.MaxAge: check the server's clock"}
	errTooLarge = &HookError{http.StatusRequestEntityTooLarge, "the web hook's body is larger than 1 MiB"}
	errTooSlow  = &HookError{http.StatusRequestTimeout, "the web hook's body did not come in time"}
	errBusy     = &HookError{http.StatusServiceUnavailable, "too many conversations wait: repeat the event later"}
)

// Webhook says how Crisp's web hooks are verified. With neither a secret nor a key every hook is
// refused.
//
// Hooks of a plugin are signed: each request that has a signature must match one of Secrets, if
// there are any. Hooks that are set up in a website's settings are never signed: Crisp advises to
// end their URL with ?key= and a random key, which must be one of URLKeys. Several may be valid at
// once, so that a new one can be brought in before the old one goes.
type Webhook struct {
	// Secrets are the signing secrets of the plugin's hooks, as Crisp shows them.
	Secrets []Secret
	// URLKeys are what a website's hooks may carry as ?key=, by the id of that website. A hook that
	// is about another website than its key's is refused. The key may stand in Crisp's settings
	// as it is, or percent-encoded as "&" and "#" must be.
	URLKeys map[string][]Secret
	// MaxAge refuses signed hooks that were emitted longer ago, or further ahead. The default, 0,
	// is no limit: Crisp does not say whether it signs anew when it repeats a hook, and a hook
	// that comes twice does no harm. Use 15 minutes or more. The time of an unsigned hook proves
	// nothing and is not looked at.
	MaxAge time.Duration
}

// String returns the settings without secrets and keys.
func (w Webhook) String() string {
	return fmt.Sprintf("%d secrets, keys of %d websites", len(w.Secrets), len(w.URLKeys))
}

// Format writes String, whatever the verb.
func (w Webhook) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, w.String()) }

// LogValue keeps secrets and keys out of logs.
func (w Webhook) LogValue() slog.Value { return slog.StringValue(w.String()) }

// MarshalText keeps secrets and keys out of JSON.
func (w Webhook) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// prepare returns a copy of w, or an error that names all that is wrong with it. websites are those
// that the token speaks for.
func (w Webhook) prepare(websites []string) (Webhook, error) {
	var faults []error
	check := func(s Secret, format string, args ...any) {
		if fault := s.fault(); fault != "" {
			faults = append(faults, fmt.Errorf(format+" %s", append(args, fault)...))
		}
	}
	w.Secrets = slices.Clone(w.Secrets)
	for i, secret := range w.Secrets {
		check(secret, "Webhook.Secrets[%d]", i)
	}
	w.URLKeys = maps.Clone(w.URLKeys)
	for _, website := range slices.Sorted(maps.Keys(w.URLKeys)) {
		switch w.URLKeys[website] = slices.Clone(w.URLKeys[website]); {
		case !slices.Contains(websites, website):
			faults = append(faults, errors.New("Webhook.URLKeys has a website that is neither WebsiteID nor among Websites: write its id as it is there"))
			continue
		case len(w.URLKeys[website]) == 0:
			faults = append(faults, fmt.Errorf("Webhook.URLKeys[%q] has no key: set one, or leave the website out", website))
		}
		for i, key := range w.URLKeys[website] {
			check(key, "Webhook.URLKeys[%q][%d]", website, i)
		}
	}
	if w.MaxAge != 0 {
		if fault := times.SpanFault(w.MaxAge); fault != "" {
			faults = append(faults, fmt.Errorf("field Webhook.MaxAge %s", fault))
		}
	}
	return w, errors.Join(faults...)
}

// proves reports whether there is anything that a hook could be verified with.
func (w Webhook) proves() bool { return len(w.Secrets)+len(w.URLKeys) > 0 }

// ReadEvent reads one web hook of Crisp from a request, and verifies who sent it. It needs no
// Handover: use it to receive hooks in a server of your own, and Handover.HandleEvent to pass them
// on. A request that is refused gives a HookError; any other error is a body that could not be read to its
// end.
//
// The body must come within 5 seconds: the read deadline of rw's connection is set for that, and
// taken away again. It stays set after an error, so that the server does not wait for the rest of
// the body. rw may be nil where there is no connection. If rw hides it, as a wrapper without an
// Unwrap method does, ReadEvent returns in time all the same, but only http.Server.ReadTimeout
// ends the connection.
func ReadEvent(rw http.ResponseWriter, r *http.Request, w Webhook) (Event, error) {
	return w.read(rw, r, anyBodies)
}

// anyBodies reads the bodies of hooks that come without a Handover, which alone knows how many are too many.
var anyBodies = httpbody.New(httpbody.Bounds{Size: hookBounds.Size, Time: hookBounds.Time, Small: hookBounds.Small})

// hookBounds bound the bodies of hooks: everybody can send one, with an invented signature, which is
// judged only when the body has come. Crisp cuts texts at some thousand characters, files come as URLs, and
// its servers send a body at once. Nearly all of Crisp's are Small.
var hookBounds = httpbody.Bounds{Size: 1 << 20, Time: 5 * time.Second, AtOnce: 256, Small: 64 << 10, Large: 32 << 20}

// bodyFault is the public form of why a body was not read.
func bodyFault(err error) error {
	switch {
	case errors.Is(err, httpbody.ErrTooLarge):
		return errTooLarge
	case errors.Is(err, httpbody.ErrTooSlow):
		return errTooSlow
	case errors.Is(err, httpbody.ErrCrowded):
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	return fmt.Errorf("handover: reading the web hook's body: %w", err)
}

// read is ReadEvent, with the bounds of bodies.
func (w Webhook) read(rw http.ResponseWriter, r *http.Request, bodies *httpbody.Reader) (Event, error) {
	limited := bodies.Limit(rw)
	if r.Method != http.MethodPost {
		return Event{}, errNotPost
	}
	signed, err := w.credential(r)
	if err != nil {
		return Event{}, err
	}
	body, err := bodies.Read(r, !limited)
	if err != nil {
		if rw != nil && !limited {
			rw.Header().Set("Connection", "close") // else the server waits for the rest before it answers
		}
		return Event{}, bodyFault(err)
	}
	if limited {
		httpbody.Unlimit(rw)
	}
	if signed {
		if err := w.verify(r.Header, body, time.Now()); err != nil {
			return Event{}, err
		}
	}
	ev, _, err := parseEvent(body)
	if err != nil {
		return Event{}, err
	}
	// An event without a website is about no conversation: nothing comes of it.
	if !signed && ev.WebsiteID != "" && !hooksign.Match(hooksign.Keys(r.URL.RawQuery), textsOf(w.URLKeys[ev.WebsiteID])) {
		return Event{}, fmt.Errorf("%w: it is about a website that this key is not for", errBadSignature)
	}
	ev.Signed = signed
	return ev, nil
}

// credential decides by what the request is judged, before its body is read: by its signature,
// which is still to be verified, or by its key, which must be one of those that are known. Whether
// it is the right website's is seen in the body.
func (w Webhook) credential(r *http.Request) (signed bool, err error) {
	given := hooksign.Keys(r.URL.RawQuery)
	switch {
	case len(w.Secrets) > 0 && hooksign.Signed(r.Header):
		return true, nil
	case len(w.URLKeys) == 0 || len(given) == 0:
		return false, errNotSigned
	case !hooksign.Match(given, textsOf(slices.Concat(slices.Collect(maps.Values(w.URLKeys))...))):
		return false, errBadSignature
	}
	return false, nil
}

// verify checks the signature, and the time of what was signed.
func (w Webhook) verify(h http.Header, body []byte, now time.Time) error {
	if !slices.ContainsFunc(w.Secrets, func(s Secret) bool { return s.open != nil && s.open().Verify(h, body) }) {
		return errBadSignature
	}
	if w.MaxAge <= 0 {
		return nil
	}
	emitted, ok := hooksign.Emitted(h)
	switch age := now.Sub(emitted); {
	case !ok:
		return fmt.Errorf("%w: its time is not a number", errTooOld)
	case age > w.MaxAge:
		return errTooOld
	case age < -w.MaxAge:
		return errTooNew
	}
	return nil
}

// hookStatus is the answer to a web hook that ended with err: 503 is for what may go better next time.
func hookStatus(err error) int {
	if refused, ok := errors.AsType[*HookError](err); ok {
		return refused.status
	}
	if err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// retryAfterBusy is what a hook is told that cannot be stored now, in seconds.
const retryAfterBusy = "5"

// ServeHTTP takes Crisp's hooks. A hook is stored before it is answered 200. The other answers:
// 405 wrong method; 413 over 1 MiB; 401 unsigned and without a key; 403 forged; 400 not JSON; 408
// when the body takes longer than 5 s; 503 with Retry-After when the store fails, too much waits or
// is being read, or Shutdown was called. Events that we do not know, and conversations that are not
// ours, are answered 200. The answer's body says what is wrong, except for 503. It takes as long as the body
// and HandleEvent.
func (h *Handover) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.made() != nil {
		unmade(w, r)
		return
	}
	ev, err := h.cfg.Webhook.read(w, r, h.bodies)
	genuine := err == nil
	if genuine {
		err = h.HandleEvent(r.Context(), ev)
	}
	status := hookStatus(err)
	switch status {
	case http.StatusServiceUnavailable:
		if s := h.sites[ev.WebsiteID]; s != nil {
			s.HooksMissed()
		}
		w.Header().Set("Retry-After", retryAfterBusy)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	if err == nil || status == http.StatusOK {
		w.WriteHeader(status)
		return
	}
	h.refusals.log(r.Context(), genuine, status, err)
	if status == http.StatusServiceUnavailable {
		w.WriteHeader(status) // the store's own words are not for strangers
		return
	}
	http.Error(w, err.Error(), status)
}

// refusals logs which hooks were refused.
type refusals struct {
	logger   *slog.Logger
	unproven atomic.Int64          // when one without proof was last logged, in Unix seconds
	last     atomic.Pointer[error] // of a hook without proof
}

// reason is why the last hook was refused that had no proof; nil: none was.
func (r *refusals) reason() error {
	if err := r.last.Load(); err != nil {
		return *err
	}
	return nil
}

// log logs that a hook was refused. Those without a valid signature or key may be anybody's, or all of
// Crisp's when the secret is wrong: one line a minute says so.
func (r *refusals) log(ctx context.Context, genuine bool, status int, err error) {
	const message = "handover: a hook was refused"
	unproven := status == http.StatusUnauthorized || status == http.StatusForbidden
	if unproven {
		r.last.Store(&err)
	}
	unproven = unproven || errors.Is(err, errTooSlow) || errors.Is(err, errBusy)
	switch now, last := time.Now().Unix(), r.unproven.Load(); {
	case genuine:
		r.logger.WarnContext(ctx, message, "status", status)
	case unproven && now-last >= 60 && r.unproven.CompareAndSwap(last, now):
		r.logger.WarnContext(ctx, message, "status", status, "error", err)
	default:
		r.logger.DebugContext(ctx, message, "status", status)
	}
}

// HandleEvent takes an event that was verified, for hosts that receive hooks on their own. It
// returns when the event is stored, which takes one or two accesses to the store, of 20 s at the most, and two more where another
// replica was faster. What the event points to must not be changed after the call. An error
// may be gone when the event is repeated: an event of a conversation whose record cannot be used is taken,
// and the record is named in the log.
func (h *Handover) HandleEvent(ctx context.Context, ev Event) error {
	if err := h.made(); err != nil {
		return err
	}
	if s := h.sites[ev.WebsiteID]; s != nil {
		s.HookCame()
	}
	switch {
	case h.pool.Closed():
		return ErrShutdown
	case h.sites[ev.WebsiteID] == nil || !crispapi.ValidSessionID(ev.SessionID):
		return nil // not ours
	case ev.Raw != nil && !ev.Ambiguous && !h.cfg.heeds(&ev):
		return nil
	case h.pool.Full():
		return errBusy
	}
	ev.more.trace = h.cfg.traceOf(ctx)
	rec, key, err := h.updateFound(ctx, ev.WebsiteID+"/"+ev.SessionID, func(rec *record) error {
		if !rec.env.stored || !rec.receive(&ev) {
			return errKeep
		}
		rec.env.free = ev.more.compose == nil
		return nil
	})
	switch {
	case rec != nil && err == nil && ev.more.compose != nil:
		h.agentTypes(rec, &ev)
	case hopeless(err): // and stays so: there is no use in repeating the hook
		h.unreadable(ctx, key, err)
		return nil
	}
	return err
}

// heeds reports whether anything could come of an event: most only tell that something was read.
func (c *Config) heeds(ev *Event) bool {
	return concerns(ev) || ev.more.rating != nil || ev.more.compose != nil && c.AgentTyping != nil
}
