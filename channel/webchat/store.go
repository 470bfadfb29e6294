package webchat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/crisphandover/handover"
)

// Entry is one message of a conversation's log, with what became of it. Its JSON holds all of it.
type Entry struct {
	handover.Message
	Key      string `json:"key"`                 // names it within the conversation
	Place    int64  `json:"place"`               // in the log: a later message has a larger one
	Revision int64  `json:"revision"`            // the log's when this entry changed last
	Handover string `json:"handover,omitempty"`  // the handover that it was said in
	Chosen   string `json:"chosen,omitempty"`    // the title of the quick reply that was chosen
	ChosenBy string `json:"chosen_by,omitempty"` // the id of the user's message that chose it
	Edited   bool   `json:"edited,omitempty"`
	Removed  bool   `json:"removed,omitempty"`
	Failed   bool   `json:"failed,omitempty"` // the user's, and refused for good
	// Visitor is set in one entry of a log, which no page shows: who the user is.
	Visitor *Visitor `json:"visitor,omitempty"`
}

// Store keeps the logs of a Chat's conversations. A host with a database keeps them there: a table with a row
// for each entry, by conversation and key, and its JSON, is enough. Conversations are named by their ids
// (handover.Conversation.ID). Its methods are called from several goroutines.
//
// Several replicas share a Store. Each looks into it about once a second for a page that is open.
type Store interface {
	// Entry returns the entry with that key; false if there is none.
	Entry(ctx context.Context, conversation, key string) (e Entry, ok bool, err error)
	// Save stores an entry, new or changed, and returns it with its Revision, which is larger than any before
	// in this conversation; a new one also gets its Place. e.Revision is the one that it was read with, and 0
	// for a new one: if what is stored is another, Save changes nothing and returns an error that wraps
	// ErrConflict.
	Save(ctx context.Context, conversation string, e Entry) (Entry, error)
	// Since returns the entries that changed after a revision, in the order of their revisions; only the
	// newest of them if there are more than limit.
	Since(ctx context.Context, conversation string, revision int64, limit int) ([]Entry, error)
}

// ErrConflict is returned by Store.Save when the entry was changed by another.
var ErrConflict = errors.New("webchat: the entry was changed by another")

// MemoryStore is a Store in memory, of one process. Beyond its bounds the oldest goes first: messages of a
// conversation, and of conversations the one in which nothing was said for longest.
type MemoryStore struct {
	// Entries is how many messages a conversation keeps. Default: 500.
	Entries int
	// ConversationBytes is about how much a conversation keeps. Default: 1 MiB.
	ConversationBytes int
	// Bytes is about how much all keep. Default: 256 MiB.
	Bytes int

	mu       sync.Mutex
	name     string // of these logs: a page that knows others begins anew
	revision int64
	size     int
	logs     map[string]*memoryLog
}

// memoryLog is the log of a conversation.
type memoryLog struct {
	entries []Entry // by place
	sizes   []int   // of the entries
	size    int
	used    int64 // the revision of its last change
}

const (
	defaultEntries           = 500
	defaultConversationBytes = 1 << 20
	defaultBytes             = 256 << 20
)

// Entry implements Store.
func (s *MemoryStore) Entry(_ context.Context, conversation, key string) (Entry, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if log := s.logs[conversation]; log != nil {
		if i := log.find(key); i >= 0 {
			return log.entries[i], true, nil
		}
	}
	return Entry{}, false, nil
}

// Save implements Store.
func (s *MemoryStore) Save(_ context.Context, conversation string, e Entry) (Entry, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Entry{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs == nil {
		s.logs = map[string]*memoryLog{}
	}
	log := s.logs[conversation]
	if log == nil {
		log = &memoryLog{}
	}
	i := log.find(e.Key)
	if i < 0 && e.Revision != 0 || i >= 0 && log.entries[i].Revision != e.Revision {
		return Entry{}, ErrConflict
	}
	s.logs[conversation] = log
	s.revision++
	e.Revision, log.used = s.revision, s.revision
	if i < 0 {
		e.Place = s.revision
		log.entries, log.sizes = append(log.entries, e), append(log.sizes, 0)
		i = len(log.entries) - 1
	}
	s.size += len(body) - log.sizes[i]
	log.size += len(body) - log.sizes[i]
	log.entries[i], log.sizes[i] = e, len(body)
	s.bound(log)
	return e, nil
}

// Since implements Store.
func (s *MemoryStore) Since(_ context.Context, conversation string, revision int64, limit int) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var news []Entry
	if log := s.logs[conversation]; log != nil {
		for _, e := range log.entries {
			if e.Revision > revision {
				news = append(news, e)
			}
		}
	}
	slices.SortFunc(news, func(a, b Entry) int { return int(a.Revision - b.Revision) })
	return news[max(0, len(news)-limit):], nil
}

// logName names what this store keeps: another process's is another.
func (s *MemoryStore) logName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == "" {
		s.name = rand.Text()
	}
	return s.name
}

// bound drops what is too much, but for the log's newest entry and that of its visitor. The caller holds the lock.
func (s *MemoryStore) bound(log *memoryLog) {
	for len(log.entries) > 2 && (len(log.entries) > or(s.Entries, defaultEntries) || log.size > or(s.ConversationBytes, defaultConversationBytes)) {
		i := 0
		if log.entries[0].Visitor != nil {
			i = 1
		}
		s.size -= log.sizes[i]
		log.size -= log.sizes[i]
		log.entries, log.sizes = slices.Delete(log.entries, i, i+1), slices.Delete(log.sizes, i, i+1)
	}
	for s.size > or(s.Bytes, defaultBytes) && len(s.logs) > 1 {
		s.dropOldest()
	}
}

// dropOldest forgets the tenth of the conversations in which nothing was said for longest.
func (s *MemoryStore) dropOldest() {
	ages := make([]int64, 0, len(s.logs))
	for _, log := range s.logs {
		ages = append(ages, log.used)
	}
	slices.Sort(ages)
	last := ages[(len(ages)-1)/10]
	for conversation, log := range s.logs {
		if log.used <= last {
			s.size -= log.size
			delete(s.logs, conversation)
		}
	}
}

// find returns the place of an entry in the list, or -1.
func (l *memoryLog) find(key string) int {
	return slices.IndexFunc(l.entries, func(e Entry) bool { return e.Key == key })
}

// or returns n, or the default for one that is not set.
func or(n, standard int) int {
	if n <= 0 {
		return standard
	}
	return n
}
