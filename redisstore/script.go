package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Each call is one script: Redis does nothing else meanwhile, and writes all that it changes to its log
// and to its replicas as one transaction. A script has checked all before it writes the first time, since what
// fails in the middle is not undone.
//
// A record is two fields with its key as their name: in KEYS[1] its head, which is its version, Due and Live with
// spaces between them, and then a NUL and an id for each Crisp id; and in KEYS[2] its data. KEYS[3] has the keys by Crisp
// ids, KEYS[4] those that are due or hidden, by the time at which Claim may give them. For List, KEYS[5] has all keys, and
// KEYS[6] those of the records that are Live, in the order of their bytes.
//
// Times are microseconds since 1970. Lua and sorted sets count in doubles, which are exact for them until the
// year 2255; the Due in the head is text, and always exact. Versions are compared as text.
const (
	// now is the server's clock. It stands still while a script runs.
	now = `
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function text(n) return string.format('%.0f', n) end
-- give adds a record to what is returned, which begins with the time.
local given = {text(now)}
local function give(key)
	local head = redis.call('HGET', KEYS[1], key)
	if not head then return end
	given[#given + 1] = key
	given[#given + 1] = head
	given[#given + 1] = redis.call('HGET', KEYS[2], key)
end
`
	// head returns what is stored of a key: its version, "0" for none, its Crisp ids, and "1" if it is Live.
	head = `
local function head(key)
	local head = redis.call('HGET', KEYS[1], key)
	if not head then return '0', '', '0' end
	local ids = string.find(head, '%z') or #head + 1
	return string.match(head, '^%d+'), string.sub(head, ids), string.sub(head, ids - 1, ids - 1)
end
`
)

// What the scripts that write return.
const (
	outcomeDone     = int64(1)
	outcomeConflict = int64(2)
	outcomeTaken    = int64(3)
)

var (
	load = newScript(now + `
give(ARGV[1])
return given
`)

	find = newScript(now + `
local key = redis.call('HGET', KEYS[3], ARGV[1])
if key then give(key) end
return given
`)

	claim = newScript(now + `
local ended = text(now + ARGV[2])
for _, key in ipairs(redis.call('ZRANGE', KEYS[4], '-inf', text(now), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
	redis.call('ZADD', KEYS[4], ended, key)
	give(key)
end
return given
`)

	list = newScript(now + `
for _, key in ipairs(redis.call('ZRANGE', KEYS[tonumber(ARGV[1])], ARGV[2], ARGV[3], 'BYLEX', 'LIMIT', 0, ARGV[4])) do give(key) end
return given
`)

	save = newScript(head + `
local key, expected, version, due, live, ids, channel, data = unpack(ARGV)
local stored, held, lived = head(key)
if stored ~= expected then return 2 end
if ids ~= held then
	for id in string.gmatch(ids, '[^%z]+') do
		local owner = redis.call('HGET', KEYS[3], id)
		if owner and owner ~= key then return 3 end
	end
end
redis.call('HSET', KEYS[1], key, version .. ' ' .. due .. ' ' .. live .. ids)
redis.call('HSET', KEYS[2], key, data)
if stored == '0' then redis.call('ZADD', KEYS[5], 0, key) end
if live ~= lived then
	if live == '1' then redis.call('ZADD', KEYS[6], 0, key) else redis.call('ZREM', KEYS[6], key) end
end
if due == '-' then
	redis.call('ZREM', KEYS[4], key)
else
	redis.call('ZADD', KEYS[4], due, key)
end
if ids ~= held then
	for id in string.gmatch(held, '[^%z]+') do redis.call('HDEL', KEYS[3], id) end
	for id in string.gmatch(ids, '[^%z]+') do redis.call('HSET', KEYS[3], id, key) end
end
if channel ~= '' then redis.call('SPUBLISH', channel, key) end
return 1
`)

	remove = newScript(head + `
local key, expected = unpack(ARGV)
local stored, held = head(key)
if stored == '0' then return 1 end
if stored ~= expected then return 2 end
redis.call('HDEL', KEYS[1], key)
redis.call('HDEL', KEYS[2], key)
for i = 4, 6 do redis.call('ZREM', KEYS[i], key) end
for id in string.gmatch(held, '[^%z]+') do redis.call('HDEL', KEYS[3], id) end
return 1
`)
)

// script is a Lua script, and the name by which Redis remembers it.
type script struct{ source, sha string }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source))
	return &script{source, hex.EncodeToString(sum[:])}
}

// run runs a script, and returns at the end of ctx: go-redis waits for an answer until its own ReadTimeout.
func (s *Store) run(ctx context.Context, op string, script *script, args ...any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("handover: redisstore: %s: %w", op, err)
	}
	type answer struct {
		reply any
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		reply, err := s.process(ctx, "evalsha", script.sha, args)
		if redis.HasErrorPrefix(err, "NOSCRIPT") { // the server does not know it, or not any more: nothing was done
			reply, err = s.process(ctx, "eval", script.source, args)
		}
		answered <- answer{reply, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil && ctx.Err() != nil {
			a.err = fmt.Errorf("%w: %w", ctx.Err(), a.err)
		}
		if a.err != nil {
			return nil, fmt.Errorf("handover: redisstore: %s: %w", op, a.err)
		}
		return a.reply, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("handover: redisstore: %s: %w", op, ctx.Err())
	}
}

// process sends a command once.
func (s *Store) process(ctx context.Context, command, script string, args []any) (any, error) {
	all := append(make([]any, 0, 3+len(s.keys)+len(args)), command, script, len(s.keys))
	for _, key := range s.keys {
		all = append(all, key)
	}
	cmd := once{redis.NewCmd(ctx, append(all, args...)...)}
	cmd.SetFirstKeyPos(3)
	_ = s.client.Process(ctx, cmd) // cmd has the error
	return cmd.Result()
}

// once is a command that the client does not send again when it does not know what became of it.
type once struct{ *redis.Cmd }

// NoRetry is what the client asks before it sends a command again.
func (once) NoRetry() bool { return true }
