package redisstore_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is a connection to a server that loses what it carries.
type line struct {
	listener net.Listener
	server   string // its socket

	mu       sync.Mutex
	cut      bool // close instead of handing on the next answer
	silent   bool // hand nothing on, and close nothing
	carrying []net.Conn
}

func newLine(t *testing.T, server string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{listener: listener, server: server}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.carry(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		for _, conn := range l.carrying {
			_ = conn.Close()
		}
		l.mu.Unlock()
		all.Wait()
	})
	return l
}

func (l *line) address() string { return l.listener.Addr().String() }

func (l *line) loseAnswer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
}

func (l *line) swallow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = true
}

// carry hands on what client and server say, until one of them ends.
func (l *line) carry(client net.Conn) {
	server, err := net.Dial("unix", l.server)
	if err != nil {
		_ = client.Close()
		return
	}
	l.mu.Lock()
	l.carrying = append(l.carrying, client, server)
	l.mu.Unlock()
	end := func() { _, _ = client.Close(), server.Close() }
	var both sync.WaitGroup
	both.Go(func() { defer end(); l.copy(server, client, false) })
	both.Go(func() { defer end(); l.copy(client, server, true) })
	both.Wait()
}

func (l *line) copy(to io.Writer, from io.Reader, answers bool) {
	part := make([]byte, 1<<16)
	for {
		n, err := from.Read(part)
		l.mu.Lock()
		cut, silent := l.cut && answers, l.silent
		l.cut = l.cut && !cut
		l.mu.Unlock()
		if err != nil || cut {
			return
		}
		if silent {
			continue
		}
		if _, err := to.Write(part[:n]); err != nil {
			return
		}
	}
}
