package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrNotDurable is in the error of Check if the server keeps nothing on disk: after a restart of it no handover
// is known any more. A host that can bear this goes on.
var ErrNotDurable = errors.New("handover: redisstore: the server keeps nothing on disk: set appendonly yes and appendfsync always")

// Server is what Check found out about the server.
type Server struct {
	Version   string // of Redis whose commands it has: Valkey tells the one that it began from
	Eviction  string // maxmemory-policy
	AOF       bool   // appendonly
	Fsync     string // appendfsync; empty if the server does not tell it
	Snapshots string // save; empty for none, or if the server does not tell it
	Replicas  int    // that are connected now
}

// Loses says in a sentence what can be lost of what was saved.
func (s Server) Loses() string {
	var loss string
	switch {
	case s.AOF && s.Fsync == "always":
		loss = "nothing is lost when the server dies"
	case s.AOF && s.Fsync == "everysec":
		loss = "the last two seconds are lost when the machine dies, nothing when only Redis does"
	case s.AOF && s.Fsync == "no":
		loss = "the last half minute or more is lost when the machine dies, nothing when only Redis does"
	case s.AOF:
		loss = "how much is lost when the machine dies depends on appendfsync, which the server does not tell"
	case s.Snapshots != "":
		loss = "all since the last snapshot is lost when the server dies"
	default:
		loss = "everything is lost when the server dies"
	}
	if s.Replicas > 0 {
		loss += "; a failover loses what the new master lacks"
	}
	return loss
}

// Check asks the server about its settings. The error says what makes it unfit, or wraps ErrNotDurable; the
// Server is filled as far as is known. A cloud's server that keeps its settings to itself (CONFIG) leaves
// Fsync and Snapshots empty: its documentation says what they are.
func (s *Store) Check(ctx context.Context) (Server, error) {
	server, err := s.check(ctx)
	if err != nil {
		return Server{}, fmt.Errorf("handover: redisstore: Check: %w", err)
	}
	return server.found, errors.Join(server.faults()...)
}

// checked is what Check found, and what only decides.
type checked struct {
	found       Server
	role        string // master or slave, as Redis calls it
	configKnown bool
}

func (s *Store) check(ctx context.Context) (c checked, err error) {
	var node redis.Cmdable = s.client
	if cluster, ok := s.client.(*redis.ClusterClient); ok { // of its servers, the one that has the store
		if node, err = cluster.MasterForKey(ctx, s.keys[0]); err != nil {
			return c, err
		}
	}
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence", "replication"} {
		text, err := node.Info(ctx, section).Result()
		if err != nil {
			return c, err
		}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			info[name] = value
		}
	}
	c.found = Server{Version: info["redis_version"], Eviction: info["maxmemory_policy"], AOF: info["aof_enabled"] == "1"}
	c.found.Replicas, _ = strconv.Atoi(info["connected_slaves"])
	c.role = info["role"]
	for name, value := range map[string]*string{"appendfsync": &c.found.Fsync, "save": &c.found.Snapshots} {
		settings, err := node.ConfigGet(ctx, name).Result()
		if err != nil && ctx.Err() != nil {
			return c, err
		}
		if *value, c.configKnown = settings[name]; !c.configKnown {
			break
		}
	}
	return c, nil
}

// faults says what makes the server unfit.
func (c checked) faults() (errs []error) {
	major, _, _ := strings.Cut(c.found.Version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < 7 {
		errs = append(errs, fmt.Errorf("handover: redisstore: the server is Redis %s: version 7 or later is needed", c.found.Version))
	}
	if strings.HasPrefix(c.found.Eviction, "allkeys-") {
		errs = append(errs, fmt.Errorf("handover: redisstore: with maxmemory-policy %s the server throws conversations away: set noeviction", c.found.Eviction))
	}
	if c.role == "slave" {
		errs = append(errs, errors.New("handover: redisstore: the server is a replica, which takes no changes: connect to its master"))
	}
	if !c.found.AOF && c.found.Snapshots == "" && c.configKnown {
		errs = append(errs, ErrNotDurable)
	}
	return errs
}
