package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/exactjson"
	"github.com/crisphandover/handover/internal/keys"
	"github.com/crisphandover/handover/internal/testhook"
	"github.com/crisphandover/handover/internal/times"
	"github.com/crisphandover/handover/internal/worker"
)

// records loads, changes and saves the records of conversations. It knows nothing of who works on them.
type records struct {
	cfg       *Config
	store     *storage
	old       *oldLogs
	recent    *keys.Shelf[*record] // as they were saved here: who loads that version again need not decode it
	readFirst atomic.Int64         // until when no record is changed that was kept and not read, in Unix ns
	turns     worker.Turns         // of those who had a conflict, for each record
	overdue   claims.Overdue
	speaking  keys.Counter // the bot's messages under way in this process
	crisp     crispClock
	hooks     testhook.Hooks // zero but in tests of this module

	prepare func(key string, rec *record)                       // called before a save
	saved   func(key string, rec *record)                       // called after it
	told    func(website string) (ahead time.Duration, ok bool) // how Crisp's answers say that its clock is to this process's
	unsure  func(key string)                                    // called after a save that failed, and may have been stored
	stopped func() bool                                         // Shutdown waits
}

// errKeep returned by a change saves nothing; update then returns the record as it is.
var errKeep = errors.New("handover: nothing to save")

// keepUnless is the error of a change that is to be saved or not.
func keepUnless(save bool) error {
	if save {
		return nil
	}
	return errKeep
}

// errPanicked is returned by an update of a record that made the library panic.
var errPanicked = fmt.Errorf("%w: that panicked: the log has the stack", ErrRecord)

// hopeless reports whether the same update of a record would fail whenever it is tried.
func hopeless(err error) bool {
	return errors.Is(err, ErrRecord)
}

// storeFailed reports whether an error of an update is the store's.
func storeFailed(err error) bool {
	return !hopeless(err) && !errors.Is(err, errLaterVersion) && !errors.Is(err, ErrTaken)
}

// known is what a caller of update knows of a record: its key at the least.
type known struct {
	key          string
	conversation Conversation // of a record that may not be stored yet
	// record is the record as the store gave it, and saved as an update returned it, which nobody else may
	// use. Neither need be the newest.
	record   Record
	saved    *record
	kept     *record // the record, as this process saved it some time ago: it was not read since
	claimed  bool    // the store gave the record with its claim
	launched int64   // the effect that began with the save of the record
	marks    *marks  // what began with it in place of an effect
	reading  bool    // nothing is to be saved
}

// locate returns what is known of a conversation's record, without a load if possible. A conversation
// that names no website began on what Config.WebsiteID was then, and stays there as long as that is among
// Config.Websites. To look there costs a load for each of them, but only for conversations that are not
// known.
func (rs *records) locate(ctx context.Context, c Conversation) (known, error) {
	k := known{key: rs.cfg.key(c), conversation: c}
	if c.WebsiteID != "" || len(rs.cfg.Websites) == 0 {
		return k, nil
	}
	for _, website := range append([]string{rs.cfg.WebsiteID}, rs.cfg.Websites...) {
		r, err := rs.store.load(ctx, website+"/"+c.path())
		if err != nil {
			return known{}, err
		}
		if r.Version != 0 && (website == rs.cfg.WebsiteID || r.namesNoWebsite()) {
			k.key, k.record = r.Key, r
			return k, nil
		}
	}
	return k, nil
}

// namesNoWebsite reports whether the conversation of a stored record leaves its website to the
// configuration.
func (r *Record) namesNoWebsite() bool {
	var rec struct {
		Conversation Conversation `json:"conversation"`
	}
	return json.Unmarshal(r.Data, &rec, recordJSON) == nil && rec.Conversation.WebsiteID == ""
}

// loadOf returns the record of a conversation for reading.
func (rs *records) loadOf(ctx context.Context, c Conversation) (*record, error) {
	k, err := rs.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	return rs.load(ctx, k)
}

// load returns a record for reading.
func (rs *records) load(ctx context.Context, k known) (*record, error) {
	k.reading = true
	return rs.update(ctx, k, func(*record) error { return errKeep })
}

// update applies change to a record, saves it, and returns what was saved. It loads the record unless k
// has it, and after a save that another writer was faster than: then it applies change again. change does
// no I/O. A panic on the way is a fault of the record: it is logged, and nothing is saved.
func (rs *records) update(ctx context.Context, k known, change func(*record) error) (rec *record, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	pass := func() {}
	defer func() { pass() }()
	for conflicts := 0; ; conflicts++ {
		err = errPanicked
		worker.Guard(func(stack string) {
			rs.cfg.Logger.Error("handover: the work on a conversation panicked", "key", k.key, "stack", stack)
		}, func() { rec, err = rs.tryUpdate(ctx, k, change, func() { pass() }) })
		if err == nil {
			return rec, nil
		}
		if !errors.Is(err, ErrConflict) || k.kept != nil {
			return nil, err
		}
		if conflicts == 0 {
			// Many who write a record at once, such as a burst of hooks, would all be in each other's way each time.
			if pass, err = rs.turns.Take(ctx, k.key); err != nil {
				pass = func() {}
				return nil, fmt.Errorf("handover: other writers of the record were in the way: %w", err)
			}
		} else if err := onceMore(ctx, conflicts); err != nil {
			return nil, err
		}
		k.record, k.saved = Record{}, nil
	}
}

const (
	// keepResult is how long what was done is kept for a store that fails.
	keepResult = 2 * time.Minute
	// keepStopped is how long it is kept once Shutdown waits for it.
	keepStopped = 15 * time.Second
)

// persist is update for a change that must not be lost: while the store fails it tries again. A panic, or a record
// that cannot be read, is no fault of the store. A save that failed may have been stored all the same.
func (rs *records) persist(ctx context.Context, k known, change func(*record) error) (*record, error) {
	giveUp, stopping := time.Now().Add(keepResult), false
	for attempt := 1; ; attempt++ {
		rec, err := rs.update(ctx, k, change)
		if !stopping && rs.stopped() {
			stopping, giveUp = true, times.Earlier(giveUp, time.Now().Add(keepStopped))
		}
		if err == nil || !storeFailed(err) || time.Now().After(giveUp) {
			return rec, err
		}
		k.record, k.saved = Record{}, nil
		time.Sleep(min(times.Backoff(attempt), 5*time.Second))
	}
}

// tryUpdate is one attempt of an update. It calls pass before it tells of the save, which may take: others may save.
func (rs *records) tryUpdate(ctx context.Context, k known, change func(*record) error, pass func()) (*record, error) {
	rec, err := rs.open(ctx, k)
	if err != nil {
		return nil, err
	}
	err = change(rec)
	if err != nil && k.kept != nil {
		if outdated := rs.isNewest(ctx, k); outdated != nil {
			return nil, outdated
		}
	}
	if errors.Is(err, errKeep) {
		return rec, nil
	} else if err != nil {
		return nil, err
	}
	rec.handOn()
	e := rec.env
	defer func() { e.launch.cancel() }() // unless the record is saved
	saved, err := rs.save(ctx, k.key, rec)
	if saved {
		pass()
		rs.crisp.learn(rec)
		// A reply that has ended since the record was read may have looked before the save for what waits for its end.
		e.hushed = e.speaking && !rs.speaking.Any(k.key)
		e.speaking = e.speaking && !e.hushed
		rs.saved(k.key, rec)
	}
	return rec, err
}

// open returns the record for a change.
func (rs *records) open(ctx context.Context, k known) (*record, error) {
	e := &env{cfg: rs.cfg, crisp: rs.crispsClock(k.key), speaking: rs.speaking.Any(k.key), trustHooks: rs.hooks.NoLog}
	if rec := k.saved; rec != nil && rec.env.version != 0 {
		e.now = times.Later(rs.store.now(), rec.env.now) // the store's clock goes back a little at times
		e.stored, e.version, e.before = true, rec.env.version, rec.awaited()
		rec.env = e
		return rec, nil
	}
	r, rec := k.record, k.kept
	if r.Version == 0 {
		var err error
		if r, err = rs.store.load(ctx, k.key); err != nil {
			return nil, err
		}
	}
	e.now, e.stored, e.version = rs.store.now(), r.Version != 0, r.Version
	if rec == nil {
		rec = rs.recall(k, r)
	}
	if rec == nil {
		var err error
		if rec, err = decodeRecord(r, k.key, k.conversation, e.now); err != nil {
			return nil, err
		}
	}
	rec.env = e
	rec.mend()
	e.before = rec.awaited()
	return rec, nil
}

// crispClock is Crisp's clock as a conversation of this process showed it last: it is one for all of them.
type crispClock struct {
	mu    sync.Mutex
	shown crisplog.Clock
}

func (c *crispClock) learn(rec *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range rec.Sessions {
		if s.Log.Sampled {
			c.shown = s.Log.Clock
		}
	}
}

func (c *crispClock) known() crisplog.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}

// crispsClock is Crisp's clock as other conversations show it, or else as its answers tell it, by the store's.
func (rs *records) crispsClock(key string) crisplog.Clock {
	c := rs.crisp.known()
	website, _, _ := strings.Cut(key, "/")
	if ahead, ok := rs.told(website); ok && !c.Sampled {
		return crisplog.ClockTold(ahead - time.Until(rs.store.now()))
	}
	return c
}

// save stores the record in place of the version that it was made from, or deletes it when nothing is
// left to do or to remember.
func (rs *records) save(ctx context.Context, key string, rec *record) (bool, error) {
	version := rec.env.version
	if rec.expired() {
		if version == 0 {
			return false, nil
		}
		if err := rs.store.delete(ctx, key, version); err != nil {
			return false, err
		}
		rec.env.version = 0
		rs.recent.Remove(key)
		rs.overdue.Saved(key, 0, time.Time{})
		_ = rs.old.drop(ctx, rec, rec.Sessions) // else tidy does
		return true, nil
	}
	before := slices.Clone(rec.Sessions)
	rec.trim()
	if err := rs.old.move(ctx, key, rec); err != nil {
		return false, err
	}
	rec.next() // so that of two saves the later one can be told
	rs.prepare(key, rec)
	next := Record{Key: key, Version: version, Due: rec.planner().due(), Live: rec.live(), Wake: rec.env.before.over(rec)}
	var err error
	if next.Data, rec.env.altered, err = rec.encode(); err != nil {
		return false, err
	}
	for _, s := range rec.Sessions {
		next.CrispIDs = append(next.CrispIDs, rec.Website+"/"+s.ID)
	}
	if rec.env.version, err = rs.store.save(ctx, next); err != nil {
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrTaken) {
			rs.unsure(key)
		}
		return false, err
	}
	next.Version = rec.env.version
	rec.env.record = next
	rs.overdue.Saved(key, next.Version, next.Due)
	gone := slices.DeleteFunc(before, func(s *crisplog.Session) bool { return slices.Contains(rec.Sessions, s) })
	_ = rs.old.drop(ctx, rec, gone) // else tidy does
	return true, nil
}

// recordBuffers are what records were last written in: to let each grow anew costs a tenth of a save.
var recordBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the most that a buffer may hold to be used again.
const keepBuffer = 256 << 10

// marshal writes what has a record of its own and is no conversation.
func marshal(v any) ([]byte, error) {
	buffer := recordBuffers.Get().(*bytes.Buffer)
	if buffer.Cap() <= keepBuffer {
		defer recordBuffers.Put(buffer)
	}
	buffer.Reset()
	if err := json.MarshalWrite(buffer, v, recordJSON); err != nil {
		return nil, shapeOf(err)
	}
	return bytes.Clone(buffer.Bytes()), nil
}

// encode writes the record: what decodeRecord reads. altered says that a text is written as another one, without what
// is no UTF-8, and without NUL, which databases refuse.
func (rec *record) encode() (data []byte, altered bool, err error) {
	buffer := recordBuffers.Get().(*bytes.Buffer)
	if buffer.Cap() <= keepBuffer {
		defer recordBuffers.Put(buffer)
	}
	buffer.Reset()
	written := rec.written()
	if err = json.MarshalWrite(buffer, written, recordJSON, jsontext.AllowInvalidUTF8(false)); err != nil {
		altered = true
		buffer.Reset()
		err = json.MarshalWrite(buffer, written, recordJSON)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errUnwritable, shapeOf(err))
	}
	text := exactjson.WithoutNUL(buffer.Bytes())
	return bytes.Clone(text), altered || &text[0] != &buffer.Bytes()[0], nil
}

const (
	// recentBytes is how much of saved records, as they are written, is kept decoded; that takes some times as much.
	recentBytes = 4 << 20
	// recentFor is how long it is kept.
	recentFor = 5 * time.Minute
	// readFirst is for how long each record is read before it is changed, after others had changed one that was kept.
	readFirst = 10 * time.Second
)

// keepRecent keeps a record that was saved for the next change. It belongs to whoever takes it.
func (rs *records) keepRecent(key string, rec *record) {
	rec.env = &env{version: rec.env.version, record: rec.env.record}
	rs.recent.Put(key, rec.env.record.CrispIDs, rec.env.version, rec, len(rec.env.record.Data))
}

// recall returns a stored record as this process saved it, which nobody else uses; nil if it is not known. The bytes are
// compared as well: after a failover that loses changes a store may give a version twice.
func (rs *records) recall(k known, r Record) *record {
	if k.reading || r.Version == 0 {
		return nil // it stays for the next change
	}
	rec, ok := rs.recent.Take(k.key, r.Version)
	if !ok || !rec.env.record.same(r) {
		return nil
	}
	return rec
}

// same reports whether a store gave the same record again.
func (r *Record) same(again Record) bool {
	return r.Version == again.Version && bytes.Equal(r.Data, again.Data)
}

// updateFound is update for the record of a Crisp conversation, and returns its key as well; "" if the conversation is none of ours.
// A record that this process saved of late is not read before: Save finds whether another writer was faster, and
// tryUpdate asks the store where change saves nothing.
func (rs *records) updateFound(ctx context.Context, crispID string, change func(*record) error) (rec *record, key string, err error) {
	if k, kept := rs.kept(crispID); kept {
		rec, err = rs.update(ctx, k, change)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, errPanicked) {
			return rec, k.key, err
		}
		rs.readFirst.Store(time.Now().Add(readFirst).UnixNano())
	}
	r, err := rs.store.find(ctx, crispID)
	if err != nil || r.Key == "" {
		return nil, "", err
	}
	rec, err = rs.update(ctx, known{key: r.Key, record: r}, change)
	return rec, r.Key, err
}

// kept returns what is known of a record that is kept. Where others have changed such a record, and so may change the next
// one, there is none for a while.
func (rs *records) kept(crispID string) (known, bool) {
	if time.Now().UnixNano() < rs.readFirst.Load() {
		return known{}, false
	}
	key, rec, ok := rs.recent.TakeAny(crispID)
	if !ok {
		return known{}, false
	}
	return known{key: key, record: rec.env.record, kept: rec}, true
}

// isNewest returns an error unless a record that was kept is stored as it was.
func (rs *records) isNewest(ctx context.Context, k known) error {
	r, err := rs.store.load(ctx, k.key)
	if err == nil && !k.record.same(r) {
		err = ErrConflict
	}
	return err
}
