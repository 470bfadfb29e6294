package webchat

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"
)

// Files keeps the files that users send. Agents open them by a link that holds the id, so ids must be hard to guess.
type Files interface {
	// Save keeps a file and returns its id, of letters, digits, "-" and "_". An error that wraps ErrFull says that
	// there is no room.
	Save(ctx context.Context, f Upload) (id string, err error)
	// Open returns a file; the error for one that is not there wraps ErrNoFile.
	Open(ctx context.Context, id string) (Upload, error)
}

// Upload is a file that a user sent.
type Upload struct {
	Conversation string // whose it is: the conversation's id
	Name         string // cleaned
	MIMEType     string // as the content says, without parameters
	Content      []byte
}

// The errors of Files.
var (
	ErrFull   = errors.New("webchat: there is no room for more files")
	ErrNoFile = errors.New("webchat: there is no such file")
)

// MemoryFiles is Files in memory, of one process. A conversation's oldest files make room for its new ones, never for
// those of others: when all have no room, new files are refused until old ones are a day old.
type MemoryFiles struct {
	// Count is how many files a conversation keeps. Default: 20.
	Count int
	// ConversationBytes is how much they have in all. Default: 20 MiB.
	ConversationBytes int
	// Bytes is how much all keep. Default: 512 MiB.
	Bytes int

	mu    sync.Mutex
	size  int
	all   map[string]keptFile // by id
	order []string            // the ids, oldest first
	users map[string]usedRoom // by conversation
}

type keptFile struct {
	Upload
	at time.Time
}

// usedRoom is what the files of a conversation take.
type usedRoom struct{ files, bytes int }

const (
	defaultFileCount = 20
	defaultFileRoom  = 20 << 20
	defaultFileBytes = 512 << 20
	fileAge          = 24 * time.Hour // after which a file makes room for others' files
)

// Save implements Files.
func (m *MemoryFiles) Save(_ context.Context, f Upload) (id string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	size, room := len(f.Content), or(m.ConversationBytes, defaultFileRoom)
	if size > room {
		return "", ErrFull
	}
	for used := m.users[f.Conversation]; used.files >= or(m.Count, defaultFileCount) || used.bytes+size > room; used = m.users[f.Conversation] {
		m.drop(slices.IndexFunc(m.order, func(id string) bool { return m.all[id].Conversation == f.Conversation }))
	}
	total := or(m.Bytes, defaultFileBytes)
	for m.size+size > total && len(m.order) > 0 && time.Since(m.all[m.order[0]].at) > fileAge {
		m.drop(0)
	}
	if m.size+size > total {
		return "", ErrFull
	}
	if m.all == nil {
		m.all, m.users = map[string]keptFile{}, map[string]usedRoom{}
	}
	id = rand.Text()
	m.all[id] = keptFile{f, time.Now()}
	m.order = append(m.order, id)
	m.count(f.Conversation, 1, size)
	return id, nil
}

// drop forgets a file, by its place in the order. The caller holds the lock.
func (m *MemoryFiles) drop(i int) {
	id := m.order[i]
	f := m.all[id]
	delete(m.all, id)
	m.order = slices.Delete(m.order, i, i+1)
	m.count(f.Conversation, -1, -len(f.Content))
}

// count notes what a conversation's files take. The caller holds the lock.
func (m *MemoryFiles) count(conversation string, files, bytes int) {
	m.size += bytes
	used := m.users[conversation]
	if used = (usedRoom{used.files + files, used.bytes + bytes}); used.files == 0 {
		delete(m.users, conversation)
		return
	}
	m.users[conversation] = used
}

// Open implements Files.
func (m *MemoryFiles) Open(_ context.Context, id string) (Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.all[id]
	if !ok {
		return Upload{}, ErrNoFile
	}
	return f.Upload, nil
}
