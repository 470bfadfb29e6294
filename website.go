package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/pace"
	"github.com/crisphandover/handover/internal/times"
)

// websiteRecord is what a whole website shares, over all replicas: the Data of its own record, which
// is attended like a conversation's.
type websiteRecord struct {
	V       int              `json:"v"`
	Claim   claims.Claim     `json:"claim,omitzero"`    // of the process that catches up
	Creates []time.Time      `json:"creates,omitempty"` // of conversations: the newest of a minute, some to come
	Next    time.Time        `json:"next,omitzero"`     // of catch-up
	List    crisplog.Listing `json:"list,omitzero"`     // how far catch-up has come
	Day     string           `json:"day,omitempty"`     // that Calls is about, in UTC
	Calls   int64            `json:"calls,omitzero"`
	NoNotes time.Time        `json:"no_notes,omitzero"` // the plan has no notes, as far as is known until then
	Crisp   crispapi.State   `json:"crisp,omitzero"`    // for how long nothing of the website is called
	Hook    time.Time        `json:"hook,omitzero"`     // when one last came, up to hookEvery late, or more
	// CaughtUp is when the list was last read to its end.
	CaughtUp time.Time      `json:"caught_up,omitzero"`
	Unknown  jsontext.Value `json:",embed,unknown"`
}

// websitePrefix begins the keys of websites' records; those of conversations begin with a
// website's id.
const websitePrefix = "website/"

// site is one website that the token speaks for.
type site struct {
	id        string
	cfg       *Config
	store     *storage
	api       *crispapi.Client
	presence  pace.Memo[string] // Crisp's word for it
	advised   sync.Map          // when the host was told what a person must mend, by call
	missed    atomic.Bool       // hooks were not taken: there is something to catch up with
	accounted atomic.Int64      // the minute in which calls were last added to the website's
	hook      atomic.Int64      // when one last came to this process, in Unix seconds by the store's clock
	hookTold  atomic.Int64      // which of these is in the website's record
	news      atomic.Bool       // what this process knows of Crisp is not in the website's record yet
	known     atomic.Pointer[websiteKnown]
	made      time.Time // by this process's clock
}

// websiteKnown is a website's record as it was last read, and when that was.
type websiteKnown struct {
	record websiteRecord
	at     time.Time
}

// sites are the websites that the token speaks for, by their ids.
type sites map[string]*site

func newSites(cfg *Config, store *storage, tell func(...Activity)) sites {
	all := make(sites)
	for _, id := range append([]string{cfg.WebsiteID}, cfg.Websites...) {
		s := &site{id: id, cfg: cfg, store: store, made: store.process(), presence: pace.NewMemo[string](presenceFor)}
		s.api = newCrispAPI(cfg, id, tell, func(crispapi.State) { s.news.Store(true) })
		s.accounted.Store(time.Now().Unix() / 60)
		all[id] = s
	}
	return all
}

// What the library reads and writes of a conversation.
type (
	crispMetas        = crispapi.Metas
	crispDevice       = crispapi.Device
	crispConversation = crispapi.Conversation
)

// callTimeout bounds one call to Crisp.
const callTimeout = crispapi.CallTimeout

// newCrispAPI returns what calls Crisp for one website. It repeats nothing: what is tried again is written
// in the record first. state hears when calls to the website stop or go on.
func newCrispAPI(cfg *Config, website string, tell func(...Activity), state func(crispapi.State)) *crispapi.Client {
	return crispapi.New(crispapi.Config{
		BaseURL: cfg.BaseURL, WebsiteID: website, HTTP: cfg.HTTPClient,
		Token:   crispapi.Token{Identifier: cfg.Token.Identifier.Reveal(), Key: cfg.Token.Key.Reveal(), Tier: string(cfg.Token.Tier)},
		OnState: state,
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
	})
}

// of returns the website of a record, which is the one that the conversation began with.
func (all sites) of(rec *record) *site { return all[rec.Website] }

// website returns the id of the website that a conversation is handed to.
func (c *Config) website(conv Conversation) string { return cmp.Or(conv.WebsiteID, c.WebsiteID) }

// key names the record of a conversation that begins now.
func (c *Config) key(conv Conversation) string { return c.website(conv) + "/" + conv.path() }

// path is what names the conversation within a website, in its record's key.
func (c Conversation) path() string { return url.PathEscape(c.Source) + "/" + url.PathEscape(c.ID) }

// maxPlaces is how far ahead places among the conversations made in a minute are given: those of a
// clock that ran ahead do not count for longer.
const maxPlaces = 10 * time.Minute

// place gives a place among the conversations made in a minute, in the order of asking: it may be made at
// that time. When all places are taken for maxPlaces there is none: ask again at that time.
func (s *site) place(ctx context.Context) (at time.Time, placed bool, err error) {
	limit := s.cfg.Limits.CreatesPerMinute
	if limit < 0 {
		return time.Time{}, true, nil
	}
	window := pace.Window{Span: time.Minute, Limit: limit, Ahead: maxPlaces}
	_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if w.Creates, at, placed = window.Place(w.Creates, now); !placed {
			return errKeep
		}
		return nil
	})
	return at, placed, err
}

func today(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// account adds up once in a minute, and at once when calls to Crisp stop or go on: in Run, and after each
// job, since not every replica has Run.
func (s *site) account(ctx context.Context) error {
	minute := time.Now().Unix() / 60
	if s.accounted.Swap(minute) == minute && !s.news.Load() {
		return nil
	}
	return s.spend(ctx)
}

// knownFor is for how long what is known of a website's record is not read again, where Run works.
const knownFor = time.Minute

// refresh reads what other replicas know of the website, now and then.
func (s *site) refresh(ctx context.Context) error {
	if known := s.known.Load(); known != nil && time.Since(known.at) < knownFor {
		return nil
	}
	_, err := s.shared(ctx)
	return err
}

// hookEvery is how often it is noted for other replicas, at the least, that hooks come.
const hookEvery = time.Hour

// lastHook is when a hook last came to any replica, as far as this one knows; zero: none did.
func (s *site) lastHook(w *websiteRecord) time.Time {
	if hook := s.hook.Load(); hook > 0 {
		return times.Later(w.Hook, time.Unix(hook, 0))
	}
	return w.Hook
}

// spend adds this process's calls to the website's, and tells what it knows of Crisp.
func (s *site) spend(ctx context.Context) error {
	calls, news, hook := s.api.Calls.Swap(0), s.news.Load(), s.hook.Load()
	if calls == 0 && !news && hook-s.hookTold.Load() < int64(hookEvery/time.Second) {
		return nil
	}
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		if day := today(now); w.Day != day {
			w.Day, w.Calls = day, 0
		}
		w.Calls += calls
		w.Hook = s.lastHook(w)
		if news {
			s.news.Store(false)
			w.Crisp = s.api.State().Shift(time.Until(now))
		}
		return nil
	})
	if err != nil {
		s.api.Calls.Add(calls)
		s.news.Store(s.news.Load() || news)
		return err
	}
	s.hookTold.Store(hook)
	return nil
}

// update applies change to the website's record, as engine.update does to a conversation's.
func (s *site) update(ctx context.Context, change func(*websiteRecord, time.Time) error) (w websiteRecord, err error) {
	err = s.store.change(ctx, websitePrefix+s.id, func(r *Record) error {
		if w, err = s.decode(r); err != nil {
			return err
		}
		now := s.store.now()
		mended := w.mend(s.cfg.catchUpEvery(), now)
		if !s.news.Load() { // else this process knows better
			s.api.Merge(w.Crisp.Shift(time.Since(now)))
		}
		if err := change(&w, now); err != nil && !(mended && errors.Is(err, errKeep)) {
			return err
		}
		if r.Data, err = json.Marshal(w, recordJSON); err != nil {
			return fmt.Errorf("handover: the website's record cannot be written: %w", shapeOf(err))
		}
		if r.Due = w.Next; !w.Claim.Free() {
			r.Due = w.Claim.Until
		}
		return nil
	})
	if err == nil {
		s.known.Store(&websiteKnown{w, time.Now()})
	}
	return w, err
}

// decode reads the website's record. One that cannot be read begins anew: all of it is only about pace, and is
// learnt again.
func (s *site) decode(r *Record) (websiteRecord, error) {
	w := websiteRecord{V: recordVersion}
	if r.Version == 0 {
		return w, nil
	}
	switch err := json.Unmarshal(r.Data, &w, recordJSON); {
	case err == nil:
		return w, nil
	case w.V > recordVersion:
		return w, errLaterVersion
	default:
		s.cfg.Logger.Error("handover: the website's record cannot be read, and begins anew", "key", r.Key, "error", shapeOf(err))
		return websiteRecord{V: recordVersion}, nil
	}
}

// mend forgets waits that are longer than any which begins now: a clock that was wrong wrote them. every is how
// often the list is read. It reports whether there were any.
func (w *websiteRecord) mend(every time.Duration, now time.Time) (mended bool) {
	far := func(t time.Time, most time.Duration) bool { return t.After(now.Add(most)) }
	if far(w.Claim.Until, 2*claims.TTL) {
		w.Claim, mended = claims.Claim{}, true
	}
	if far(w.Hook, time.Minute) {
		w.Hook, mended = now, true
	}
	if far(w.CaughtUp, time.Minute) {
		w.CaughtUp, mended = now, true
	}
	if far(w.NoNotes, noNotesFor+time.Minute) {
		w.NoNotes, mended = time.Time{}, true
	}
	if far(w.Crisp.Until, crispapi.MaxWait+time.Minute) {
		w.Crisp, mended = crispapi.State{}, true
	}
	most := w.List.MostPaid(every)
	if far(w.List.Paid, most) {
		w.List.Paid, mended = now, true
	}
	if far(w.Next, most) {
		w.Next, mended = w.List.Paid, true
	}
	return mended
}

// shared returns the website's record for reading.
func (s *site) shared(ctx context.Context) (websiteRecord, error) {
	return s.update(ctx, func(*websiteRecord, time.Time) error { return errKeep })
}

// presenceFor is how long an answer about the agents' presence is used again.
const presenceFor = 10 * time.Second

// there asks whether visitors see the website as online, at most once in presenceFor for all callers.
func (s *site) there(ctx context.Context) (Presence, error) {
	status, err := s.presence.Get(ctx, s.api.Availability)
	if err != nil || status == "" {
		return PresenceUnknown, err
	}
	return Presence(status), nil
}

// noNotesFor is how long it is remembered that the plan has no notes: plans change.
const noNotesFor = 24 * time.Hour

func (s *site) noNotes(ctx context.Context) (bool, error) {
	w, err := s.shared(ctx)
	return s.store.now().Before(w.NoNotes), err
}

func (s *site) rememberNoNotes(ctx context.Context) error {
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		w.NoNotes = now.Add(noNotesFor)
		return nil
	})
	return err
}

// Catch-up takes at most a tenth of the quota of calls, and reads the list at most once in minCatchUp.
const (
	catchUpShare = 10
	minCatchUp   = time.Second
)

// catchUpEvery is how often the list of conversations is read: hooks that never came are noticed
// after this time.
func (c *Config) catchUpEvery() time.Duration {
	looks := max(c.Limits.DailyCalls/catchUpShare/(1+len(c.Websites)), 1)
	return max(24*time.Hour/time.Duration(looks), minCatchUp)
}

// catchUpSoon asks for catch-up now, or as soon as its share allows, if hooks were missed: at the start,
// and after hooks that we refused.
func (s *site) catchUpSoon(ctx context.Context) error {
	if !s.missed.CompareAndSwap(true, false) {
		return nil
	}
	_, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		at := w.List.Soon(s.cfg.catchUpEvery(), now)
		if !w.Next.IsZero() && !w.Next.After(at) {
			return errKeep
		}
		w.Next = at
		return nil
	})
	if err != nil {
		s.missed.Store(true)
	}
	return err
}

// listed is called with a conversation of Crisp's list, and when it has changed, by Crisp's clock in ms.
type listed func(ctx context.Context, s *site, c crispConversation, at int64) error

// catchUp pages through Crisp's list of conversations, the newest change first, down to where it last
// was. process names this process in claims.
func (s *site) catchUp(ctx context.Context, process string, each listed) error {
	begins := false
	w, err := s.update(ctx, func(w *websiteRecord, now time.Time) error {
		begins = !w.Next.IsZero() && !w.Next.After(now) && !w.Claim.HeldByOther(process, now)
		if !begins {
			if !w.Claim.HeldByOther(process, now) {
				w.Claim.Release() // of a look whose end could not be stored
			}
			return nil // saved all the same: that ends the hiding by the store's claim
		}
		s.renewLook(w, process, now)
		w.Next = w.List.Paid
		return nil
	})
	if err != nil || !begins {
		return err
	}
	done, fault := s.look(ctx, process, &w.List, each)
	_, err = s.update(ctx, func(now *websiteRecord, at time.Time) error {
		if now.Claim.Holder != process {
			return errKeep
		}
		list := w.List
		list.Read(done.next, done.whole, at)
		list.Paid = now.List.Paid
		if done.whole && fault == nil {
			now.CaughtUp = at
		}
		now.Claim.Release()
		now.List, now.Next = list, list.Paid
		return nil
	})
	return errors.Join(fault, err)
}

// renewLook takes the claim of catch-up, and pays for the next page.
func (s *site) renewLook(w *websiteRecord, process string, now time.Time) {
	w.Claim.Take(process, now)
	w.List.Pay(s.cfg.catchUpEvery(), now)
}

// look is what one look at the list came to.
type look struct {
	next  int  // page
	whole bool // the round came to its end
}

// look reads the list from where it last was down to the mark, or as many pages as one look may.
func (s *site) look(ctx context.Context, process string, l *crisplog.Listing, each listed) (done look, err error) {
	for done.next = max(l.Page, 1); ; {
		rows, err := s.api.List(ctx, done.next)
		if err != nil {
			return done, err
		}
		now := s.store.now()
		known := l.Take(rows, now)
		for i := range rows {
			if err := each(ctx, s, rows[i], crisplog.ChangedAt(&rows[i], now)); err != nil {
				return done, err
			}
		}
		done.next++
		if done.whole = known; known || done.next > max(l.Page, 1)+crisplog.ListPages-1 {
			return done, nil
		}
		_, err = s.update(ctx, func(w *websiteRecord, now time.Time) error {
			if w.Claim.Holder != process {
				return ErrConflict
			}
			s.renewLook(w, process, now)
			return nil
		})
		if err != nil {
			return done, err
		}
	}
}

// read reads Crisp's log back to where it was read before, and the state if that is wanted. A state
// that cannot be read does not hold up the messages.
func (s *site) read(ctx context.Context, l *crisplog.Read) *crisplog.Reading {
	pages := 0
	if l.Early {
		pages = 1
	}
	n, err := s.log(ctx, l.Crisp, l.Stop, crispapi.Reach{Since: l.Since, Pages: pages, Ahead: l.Ahead})
	n.Of, n.Err = l, err
	if n.Err == nil && l.State {
		if state, err := s.api.Conversation(ctx, l.Crisp); err == nil {
			n.State = &state
		} else {
			n.StateErr = err
			api := apiError(err)
			n.Refused = api != nil && !api.Temporary()
		}
	}
	for _, err := range []error{n.Err, n.StateErr} {
		if e := apiError(err); e != nil && e.StatusCode == http.StatusNotFound {
			n.Gone = s.api.Gone(ctx, l.Crisp)
			break
		}
	}
	for _, fp := range l.Singles {
		if n.Err != nil || n.Shows(fp) {
			continue
		}
		item, err := s.api.Message(ctx, l.Crisp, fp)
		switch {
		case err != nil:
			n.Err = err
		case item == nil || item.Why != "":
			n.Missing = append(n.Missing, fp)
		default:
			m := readMessage(item.Raw)
			n.Singles = append(n.Singles, m.logged())
		}
	}
	return n
}

// log reads messages from the newest back, as far as reach says, or to a page that has one of the messages in
// stop. What is cut is true when messages may be missing.
func (s *site) log(ctx context.Context, id string, stop []int64, reach crispapi.Reach) (*crisplog.Reading, error) {
	reach.Known = func(fp int64) bool { return slices.Contains(stop, fp) }
	read, err := s.api.Messages(ctx, id, reach)
	n := &crisplog.Reading{Cut: read.Cut || read.Gap}
	n.Messages, n.Odd = messagesOf(read.Items)
	return n, err
}

// messagesOf separates messages from those that cannot be used.
func messagesOf(items []crispapi.Item) (msgs []crisplog.Message, odd []crisplog.Odd) {
	msgs = make([]crisplog.Message, 0, len(items))
	for _, item := range items {
		if item.Why == "" {
			m := readMessage(item.Raw)
			msgs = append(msgs, m.logged())
			continue
		}
		odd = append(odd, oddOf(item))
	}
	return msgs, odd
}

// oddOf is what is known of a message that cannot be used.
func oddOf(item crispapi.Item) crisplog.Odd {
	o := crisplog.Odd{ID: item.ID, Fingerprint: item.Fingerprint, At: item.At, Why: string(item.Why)}
	if item.Why == crispapi.NoFingerprint || item.Why == crispapi.NoTime { // all else of it is beyond doubt
		m := readMessage(item.Raw)
		o.Private = crispcontent.Private(m.Type) || m.From == "user"
	}
	return o
}
