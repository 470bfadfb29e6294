// Package redisstore is a handover.Store in Redis 7 or later, over go-redis.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
//	store, err := redisstore.New(client, redisstore.Options{})
//	...
//	if _, err := store.Check(ctx); err != nil { ... } // says what the server's settings would lose
//	h, err := handover.New(handover.Config{Store: store, ...})
//
// It serves several replicas of the bot, which hear from each other at once (handover.Watcher). All times
// are taken from the server's clock. Each call is one script, and so one round trip.
//
// # What the server can lose
//
// The library's promises hold as far as the server keeps what it said was stored. That is a matter of its
// settings:
//
//	appendonly yes, appendfsync always     nothing, also when the machine loses power
//	appendonly yes, appendfsync everysec   nothing when only Redis dies; some two seconds with the machine
//	appendonly no, save ...                all since the last snapshot: minutes
//	appendonly no, save ""                 everything, at each restart
//
// Use appendfsync always, or live with what everysec may lose. A change that is lost was never made, for the
// library: a hook that was answered 200 or a message for which Handle returned nil is forgotten; what
// was done may be done again (Deliver with the same Message.ID, OnEnd with the same id); and until
// Crisp's log is read again, a bot may speak in a conversation that an agent has taken.
//
// A failover loses more. Replication is asynchronous: the replica that takes over, by Sentinel, by Redis Cluster
// or by a cloud's service, lacks what the old server had not sent yet, and all that the old server still accepted
// while both were up. appendfsync does not help against that, nor does WAIT: it tells
// how many replicas have a change, and does not keep one without it from taking over. min-replicas-to-write
// bounds the loss in time. What is lost never mixes with what is new: versions are random numbers, so that
// no version comes twice after a failover either, and a writer who knows a lost version gets
// handover.ErrConflict. Whoever cannot bear the loss takes PostgreSQL, by package sqlstore.
//
// The server must not evict what it keeps: maxmemory-policy must be noeviction, or one of volatile-*, which
// leave alone what has no time to live. Check refuses the others. When the memory is full, saves fail, and nothing is
// lost.
//
// # Redis Cluster
//
// All keys have one hash tag, Options.Prefix in braces, since a Save changes several of them at once. So all of
// a store lies on one shard: a cluster makes it no larger and no faster than that shard. Several bots
// with a Prefix each are spread over the shards. A redis.Ring is refused: it would move the store to
// an empty server when one is down.
//
// # What is stored where
//
// With the prefix "handover": hashes {handover}:head and {handover}:data have each record's fields, by its key;
// {handover}:ids has the keys by their Crisp ids. The sorted set {handover}:due has when Claim may give each;
// {handover}:keys and {handover}:live are for List. A user of Redis with an access list needs these keys and the channel
// {handover}:changed. Data contains what users and
// agents wrote, and contact data, in clear text: treat the server, its files, MONITOR and SLOWLOG
// accordingly.
//
// Its tests run on Redis 7.0. Valkey 7.2 and later have the same commands; on it the package is untested.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/keys"
)

// Options are the settings of a Store. The zero value is right for most hosts.
type Options struct {
	// Prefix begins each key, in braces: letters, digits and . _ : -, at most 64. Bots that share a
	// server need one each. Defaults to "handover".
	Prefix string
}

// Store is a handover.Store in Redis. All its methods may be called concurrently.
//
// An error other than handover.ErrConflict and handover.ErrTaken wraps what go-redis gave, and the
// context's error if that has ended. No call is sent twice, whatever the client's MaxRetries says: a Save
// that is repeated after its answer was lost would find its own change, and take it for another's.
type Store struct {
	client  redis.UniversalClient
	keys    []string // KEYS of every script
	channel string
	silence time.Duration // after which Watch asks whether the connection is still there
}

var (
	_ handover.Store   = (*Store)(nil)
	_ handover.Watcher = (*Store)(nil)
	_ handover.Lister  = (*Store)(nil)
)

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// New returns a store on this client: a redis.Client, also of a Sentinel, or a redis.ClusterClient. It
// does no I/O. Closing the client is left to the host.
func New(client redis.UniversalClient, o Options) (*Store, error) {
	var errs []error
	if v := reflect.ValueOf(client); client == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		errs = append(errs, errors.New("handover: redisstore.New: client is nil: make it with redis.NewClient"))
	}
	if _, ring := client.(*redis.Ring); ring {
		errs = append(errs, errors.New("handover: redisstore.New: a redis.Ring goes on with an empty server when one is down: use a redis.Client or a redis.ClusterClient"))
	}
	if o.Prefix == "" {
		o.Prefix = "handover"
	}
	if !prefixPattern.MatchString(o.Prefix) {
		errs = append(errs, fmt.Errorf("handover: redisstore.New: Options.Prefix %q must match %s", o.Prefix, prefixPattern))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	tag := "{" + o.Prefix + "}:"
	return &Store{
		client:  client,
		keys:    []string{tag + "head", tag + "data", tag + "ids", tag + "due", tag + "keys", tag + "live"},
		channel: tag + "changed",
		silence: 30 * time.Second,
	}, nil
}

// Load implements handover.Store.
func (s *Store) Load(ctx context.Context, key string) (handover.Record, error) {
	return s.read(ctx, "Load", load, key)
}

// Find implements handover.Store.
func (s *Store) Find(ctx context.Context, crispID string) (handover.Record, error) {
	return s.read(ctx, "Find", find, crispID)
}

// read returns the one record that the script gives, or the zero Record.
func (s *Store) read(ctx context.Context, op string, script *script, name string) (handover.Record, error) {
	now, records, err := s.records(ctx, op, script, name)
	if err != nil || len(records) == 0 {
		return handover.Record{Now: now}, err
	}
	return records[0], nil
}

// records returns the server's time, and the records that the script gives.
func (s *Store) records(ctx context.Context, op string, script *script, args ...any) (now time.Time, records []handover.Record, err error) {
	reply, err := s.run(ctx, op, script, args...)
	if err != nil {
		return now, nil, err
	}
	if now, records, err = decodeAll(reply); err != nil {
		return time.Time{}, nil, fmt.Errorf("handover: redisstore: %s: %w", op, err)
	}
	return now, records, nil
}

// Save implements handover.Store.
func (s *Store) Save(ctx context.Context, r handover.Record) (version int64, err error) {
	if err := valid(&r); err != nil {
		return 0, fmt.Errorf("handover: redisstore: Save: %w", err)
	}
	channel := ""
	if r.Wake {
		channel = s.channel
	}
	version = newVersion()
	// The data is copied: it may still be on its way to the server when ctx has ended.
	outcome, err := s.run(ctx, "Save", save, r.Key, r.Version, version, encodeDue(r.Due), r.Live, encodeIDs(r.CrispIDs), channel, string(r.Data))
	switch {
	case err != nil:
		return 0, err
	case outcome == outcomeConflict:
		return 0, handover.ErrConflict
	case outcome == outcomeTaken:
		return 0, handover.ErrTaken
	}
	return version, nil
}

// Claim implements handover.Store.
func (s *Store) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	if err := ctx.Err(); err != nil || limit < 1 {
		return nil, err
	}
	_, records, err := s.records(ctx, "Claim", claim, limit, max(ttl.Microseconds(), 0))
	return records, err
}

// List implements handover.Lister.
func (s *Store) List(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
	if err := ctx.Err(); err != nil || q.Limit < 1 {
		return nil, err
	}
	set := 5 // of KEYS
	if q.Live {
		set = 6
	}
	first, last := "["+q.Prefix, "("+keys.AfterPrefix(q.Prefix) // "[" takes in, "(" leaves out
	if q.After >= q.Prefix {
		first = "(" + q.After
	}
	_, records, err := s.records(ctx, "List", list, set, first, last, q.Limit)
	return records, err
}

// Delete implements handover.Store.
func (s *Store) Delete(ctx context.Context, key string, version int64) error {
	outcome, err := s.run(ctx, "Delete", remove, key, version)
	if err == nil && outcome == outcomeConflict {
		err = handover.ErrConflict
	}
	return err
}

// valid refuses what the form of a record cannot hold.
func valid(r *handover.Record) error {
	for _, name := range append([]string{r.Key}, r.CrispIDs...) {
		if name == "" || strings.ContainsRune(name, 0) {
			return errors.New("a key or Crisp id is empty or holds a NUL")
		}
	}
	return nil
}
