package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/internal/pace"
	"github.com/crisphandover/handover/internal/worker"
)

var (
	// ErrConflict is returned by Store.Save and Store.Delete when the record is not stored in the
	// version given. The caller loads it again and repeats its change.
	ErrConflict = errors.New("handover: the record was changed meanwhile: load it again")

	// ErrTaken is returned by Store.Save when one of the record's CrispIDs leads to another
	// record. A Crisp conversation belongs to one conversation of the bot.
	ErrTaken = errors.New("handover: the Crisp conversation belongs to another record")
)

// Record is what a Store keeps of one conversation. A store looks at nothing but these fields,
// and gives back what it was given, byte for byte.
type Record struct {
	// Key names the record. Any UTF-8 text without NUL, of 1 to 1,024 bytes; compared byte by byte.
	Key string
	// CrispIDs are further names of the record, for Find: "websiteID/session_…". Text like that of
	// Key, in an order that is kept. May be empty; each leads to at most one record.
	CrispIDs []string
	// Version is 0 in a record that was never stored. At each Save a store gives one that this key
	// never had before, also when a deleted key is stored again.
	Version int64
	// Due is when the conversation next wants attention, by the store's clock; zero for never. To
	// the microsecond.
	Due time.Time
	// Live marks a conversation in which something is going on: a handover, a mute, or a message that waits. Lister
	// finds records by it. Stores keep it like Due.
	Live bool
	// Data is opaque. Nil and empty are the same. The library never puts a NUL byte into it.
	Data []byte

	// Now is the store's own time when it read the record. Load, Find, Claim and List set it, also in the
	// zero Record of what is not stored; Save ignores it. A store whose clock is that of this
	// process leaves it zero. The library computes deadlines by it, so that replicas whose clocks
	// differ agree on them.
	Now time.Time
	// Wake asks Save to tell the Watchers of this change: somebody may be waiting for it. It is not
	// kept: what is read has it false.
	Wake bool
}

// Store keeps the library's state. Every method must be safe for concurrent use, honour its
// context, and share no memory with its caller (slices are copied both ways). Durable stores make
// the library's promises hold through restarts; stores shared by several processes, across
// replicas. handovertest.TestStore checks an implementation.
//
// After any error of Save or Delete but ErrConflict and ErrTaken, the context's included, it is not
// known whether the work was done: the connection may have broken after it, or the database may still
// be at it. Load tells what is stored by then. A Claim that failed may have hidden records all the
// same; they come again after their ttl.
//
// A store that can tell of changes made by other processes implements Watcher as well, and one that can list its
// records Lister.
type Store interface {
	// Load returns the record with this key. A key that is not stored gives the zero Record and
	// no error.
	Load(ctx context.Context, key string) (Record, error)

	// Find returns the record that has this Crisp id among its CrispIDs. An id that is not known
	// gives the zero Record and no error.
	Find(ctx context.Context, crispID string) (Record, error)

	// Save stores the record if its Version is the stored one, 0 standing for "not stored", and
	// returns the new Version. It replaces all fields, CrispIDs included. Otherwise nothing
	// changes and the error is ErrConflict; saving a record that was deleted meanwhile is such a
	// conflict. If the Version is right but a Crisp id leads to another record, nothing changes and
	// the error is ErrTaken.
	Save(ctx context.Context, r Record) (version int64, err error)

	// Claim gives out work: at most limit records whose Due is set and not after the store's now.
	// It hides each of them from every other Claim until ttl has passed by the store's clock, so
	// that a process that dies loses nothing but that time. Saving the record ends the hiding: it
	// is then due when the saved Due says. A save that fails changes nothing about it.
	//
	// The longest due come first; a record that was hidden counts as due since that ended. So no
	// number of records that nobody can save keeps others from their turn. No two calls give the
	// same record while it is hidden, whatever runs at the same time. While other calls run, fewer
	// records than limit, or none, do not mean that nothing is left. A limit below 1 gives none, a
	// ttl below a microsecond hides nothing.
	//
	// A claim is no lock and no change of the record: its Version stays, anybody may load, save and
	// delete it, and a Save with the Version that Claim returned succeeds if nobody else saved
	// meanwhile. Whoever outlives the ttl shares the work with the next claimer. Correctness rests
	// on the comparison of versions by Save alone.
	Claim(ctx context.Context, limit int, ttl time.Duration) ([]Record, error)

	// Delete removes the record, and what Find knows of it, if it is stored in this version;
	// else the error is ErrConflict. Deleting a key that is not stored does nothing and is no
	// error.
	Delete(ctx context.Context, key string, version int64) error
}

// Watcher is what a Store also implements if it can tell of changes that other processes make. It
// makes waiting short: without it, what another process saved is found by looking now and then.
type Watcher interface {
	// Watch calls changed with the key of each record that any process, this one included, saves
	// with Wake set, soon after it is stored. It calls changed with "" first, as soon as no later
	// change is missed: what was saved before that is not told, so the caller looks at what it
	// waits for. It calls changed from one goroutine at a time and never after it has returned;
	// changed must not block. A key may be told more often than it was saved, or once for several
	// saves in a row.
	//
	// Watch blocks until ctx ends, with ctx's error, or until it can tell no more, because the
	// connection was lost, with another error: the caller calls it again after a pause. A store
	// that cannot watch as it is set up returns an error that wraps errors.ErrUnsupported at once,
	// without calling changed.
	Watch(ctx context.Context, changed func(key string)) error
}

// Lister is what a Store also implements if it can list its records. Handover.Conversations needs it; nothing else
// does. All stores of this module are Listers.
type Lister interface {
	// List returns at most q.Limit records, in the byte order of their keys: those whose Key starts with q.Prefix and
	// is greater than q.After, and with q.Live only those whose Live is set. Fewer than q.Limit mean that no more are
	// left. A limit below 1 gives none. Now is set as in Load.
	//
	// A record that is stored before the first page is read, and not deleted, is in one page or another; what is saved
	// meanwhile may be given as it was before or after.
	//
	// Most records are not Live. A durable store lists those that are at a cost that does not grow with the others. A
	// store that cannot list as it is set up returns an error that wraps errors.ErrUnsupported.
	List(ctx context.Context, q ListQuery) ([]Record, error)
}

// ListQuery says which records Lister.List returns. Prefix and After are text as a Key is, of which no record need be
// stored; "" stands for the beginning. To read all, call List again with the last Key for After.
type ListQuery struct {
	Prefix, After string
	Live          bool
	Limit         int
}

// storeTimeout bounds one access to the store: a broken connection may never report an error.
const storeTimeout = 20 * time.Second

var errStorePanicked = errors.New("handover: the store panicked: the log has the stack")

// storage is how the library uses the host's store. Each access is bounded by storeTimeout, and a panic
// of the store is an error. Its clock follows the store's.
type storage struct {
	clock
	store  Store
	logger *slog.Logger
	outage pace.Outage // is told of in the log
	fault  atomic.Pointer[storeFault]
}

// storeFault is an access that failed.
type storeFault struct {
	what string
	at   time.Time
}

// storeError is an error of the store's, which the log has.
type storeError struct {
	what string // was tried
	err  error
}

// Error says what was tried, and the store's own error.
func (e *storeError) Error() string { return fmt.Sprintf("handover: %s the store: %v", e.what, e.err) }

// Unwrap returns the store's own error.
func (e *storeError) Unwrap() error { return e.err }

// outageEvery is how often the log says that the store fails.
const outageEvery = time.Minute

func newStorage(store Store, logger *slog.Logger) *storage {
	return &storage{store: store, logger: logger, outage: pace.Outage{Every: outageEvery}}
}

// panicked logs where the store panicked.
func (s *storage) panicked(stack string) {
	s.logger.Error("handover: the store panicked", "stack", stack)
}

// slowAccess is how long an access takes at the least that says something about the store though its
// caller's time is over.
const slowAccess = 5 * time.Second

// note says in the log that the store fails: first, then once a minute, and when it works again. An access
// says nothing about the store if its caller has left, or did not have the time.
func (s *storage) note(caller context.Context, what string, took time.Duration, err error) {
	switch {
	case err == nil, errors.Is(err, ErrConflict), errors.Is(err, ErrTaken):
		if failed, tell := s.outage.Worked(what); tell {
			s.logger.Info("handover: the store works again", "failed_for", failed)
		}
	case errors.Is(err, errors.ErrUnsupported):
	case errors.Is(caller.Err(), context.Canceled), caller.Err() != nil && took < slowAccess:
	case what == listing: // who lists hears of it; nothing that must go on needs it
	default:
		word, _, _ := strings.Cut(what, " ")
		s.fault.Store(&storeFault{word, s.now()})
		if fails, tell := s.outage.Failed(what); tell {
			s.logger.Warn("handover: the store fails: what it is needed for is tried again", "failures", fails, "error", err)
		}
	}
}

// load is Store.Load.
func (s *storage) load(ctx context.Context, key string) (Record, error) {
	return s.read(ctx, "load from", func(ctx context.Context) (Record, error) { return s.store.Load(ctx, key) })
}

// version returns the version of a record, 0 of one that is not stored, and when it is due.
func (s *storage) version(ctx context.Context, key string) (version int64, due time.Time, err error) {
	r, err := s.load(ctx, key)
	return r.Version, r.Due, err
}

// find is Store.Find.
func (s *storage) find(ctx context.Context, crispID string) (Record, error) {
	return s.read(ctx, "find in", func(ctx context.Context) (Record, error) { return s.store.Find(ctx, crispID) })
}

// read is one access that reads a record. The clock follows the time that comes with it.
func (s *storage) read(ctx context.Context, what string, f func(context.Context) (Record, error)) (Record, error) {
	r, err := access(ctx, s, what, f)
	if err == nil {
		s.follow(r.Now)
	}
	return r, err
}

// save is Store.Save.
func (s *storage) save(ctx context.Context, r Record) (int64, error) {
	return access(ctx, s, "save to", func(ctx context.Context) (int64, error) { return s.store.Save(ctx, r) })
}

// claim is Store.Claim.
func (s *storage) claim(ctx context.Context, limit int, ttl time.Duration) ([]Record, error) {
	due, err := access(ctx, s, "claim in", func(ctx context.Context) ([]Record, error) { return s.store.Claim(ctx, limit, ttl) })
	for _, r := range due {
		s.follow(r.Now)
	}
	return due, err
}

// delete is Store.Delete.
func (s *storage) delete(ctx context.Context, key string, version int64) error {
	_, err := access(ctx, s, "delete from", func(ctx context.Context) (struct{}, error) { return struct{}{}, s.store.Delete(ctx, key, version) })
	return err
}

// errNoLister is the error of a store that cannot list.
var errNoLister = fmt.Errorf("handover: this store cannot list its records: it must be a handover.Lister: %w", errors.ErrUnsupported)

// listing is what an access for List is called.
const listing = "list"

// list is Lister.List, with an error that wraps errors.ErrUnsupported if the store is no Lister.
func (s *storage) list(ctx context.Context, q ListQuery) ([]Record, error) {
	l, ok := s.store.(Lister)
	if !ok {
		return nil, errNoLister
	}
	records, err := access(ctx, s, listing, func(ctx context.Context) ([]Record, error) { return l.List(ctx, q) })
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, errNoLister
	}
	for _, r := range records {
		s.follow(r.Now)
	}
	return records, err
}

// watch is Watcher.Watch, with an error that wraps errors.ErrUnsupported if the store is no Watcher.
func (s *storage) watch(ctx context.Context, changed func(key string)) error {
	w, ok := s.store.(Watcher)
	if !ok {
		return errors.ErrUnsupported
	}
	err := errStorePanicked
	worker.Guard(s.panicked, func() { err = w.Watch(ctx, changed) })
	return err
}

// change loads a record, lets f change it, and saves it: again, until no other writer was faster. A
// record that is not stored has its key alone. When f returns errKeep nothing is saved.
func (s *storage) change(ctx context.Context, key string, f func(*Record) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for conflicts := 0; ; conflicts++ {
		r, err := s.load(ctx, key)
		if err != nil {
			return err
		}
		r.Key = key
		if err := f(&r); errors.Is(err, errKeep) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := s.save(ctx, r); !errors.Is(err, ErrConflict) {
			return err
		}
		if err := onceMore(ctx, conflicts); err != nil {
			return err
		}
	}
}

// remove deletes a record, whatever its version, and returns what it was.
func (s *storage) remove(ctx context.Context, key string) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for conflicts := 0; ; conflicts++ {
		r, err := s.load(ctx, key)
		if err != nil {
			return r, err
		}
		if err := s.delete(ctx, key, r.Version); !errors.Is(err, ErrConflict) {
			return r, err
		}
		if err := onceMore(ctx, conflicts); err != nil {
			return r, err
		}
	}
}

// onceMore waits before a change is repeated that another writer was faster than: after many such conflicts
// ever longer, since a store that reads from a copy which lags conflicts each time. It returns an error at the
// end of ctx.
func onceMore(ctx context.Context, conflicts int) error {
	const atOnce, longest = 64, 50 * time.Millisecond
	if conflicts < atOnce && ctx.Err() == nil {
		return nil
	}
	pause := min(time.Millisecond<<min(max(conflicts-atOnce, 0), 6), longest)
	select {
	case <-ctx.Done():
		return fmt.Errorf("handover: other writers of the record were faster each time: %w", worker.Ended(ctx))
	case <-time.After(pause):
		return nil
	}
}

// access calls the store, for at most storeTimeout. what says in an error what was tried.
func access[T any](caller context.Context, s *storage, what string, f func(context.Context) (T, error)) (result T, err error) {
	ctx, begun := caller, time.Now()
	if end, ends := caller.Deadline(); !ends || end.Sub(begun) > storeTimeout { // that of update ends before
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(caller, storeTimeout)
		defer cancel()
	}
	err = errStorePanicked
	worker.Guard(s.panicked, func() { result, err = f(ctx) })
	if err != nil {
		err = &storeError{what, err}
	}
	s.note(caller, what, time.Since(begun), err)
	return result, err
}

// clock tells the store's time. Replicas compare their deadlines by it, so that a replica whose own
// clock is wrong does no harm. A store without a clock of its own leaves it with the process's time.
type clock struct {
	ahead atomic.Int64  // of the process's clock, in ns
	skew  time.Duration // for tests: how wrong the process's clock is
}

func (c *clock) process() time.Time { return time.Now().Add(c.skew) }

// now is the store's time in whole milliseconds, as a record gives it back.
func (c *clock) now() time.Time {
	return c.process().Add(time.Duration(c.ahead.Load())).Truncate(time.Millisecond)
}

// follow takes the time that the store gave with a record which was just read; zero for none.
func (c *clock) follow(store time.Time) {
	if !store.IsZero() {
		c.ahead.Store(int64(store.Sub(c.process())))
	}
}
