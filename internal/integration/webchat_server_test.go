//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// buildWebchat builds the example once for all tests, from its source as it is, and as the tests are
// built: with the race detector or without.
var buildWebchat = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "handover-webchat")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "webchat")
	build := exec.Command("go", "build", "-o", path, "-race="+strconv.FormatBool(isRace()), "./examples/webchat")
	build.Dir = filepath.Join("..", "..")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// isRace reports whether the race detector watches the tests.
func isRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// example is the webchat example, running as a process of its own.
type example struct {
	t    *testing.T
	base string // its address, as it printed it
	cmd  *exec.Cmd
	log  *lockedBuffer
	rest chan []byte // what it prints after its address
	done sync.Once
}

// startWebchat starts the example on a free port. The end of the test interrupts it, and requires
// that it stops cleanly and has printed nothing but its address.
func startWebchat(t *testing.T, env ...string) *example {
	t.Helper()
	path, err := buildWebchat()
	require.NoError(t, err)
	w := &example{t: t, cmd: exec.Command(path), log: new(lockedBuffer), rest: make(chan []byte, 1)}
	w.cmd.Env = append(append(os.Environ(), "ADDR=127.0.0.1:0"), env...)
	w.cmd.Stderr = w.log
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	t.Cleanup(w.stop)
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	require.NoError(t, err, "it ended: %s", w.log)
	w.base = line[:len(line)-1]
	go func() {
		rest, _ := io.ReadAll(lines)
		w.rest <- rest
	}()
	return w
}

// stop interrupts the server, as ^C does, unless that was done.
func (w *example) stop() { w.done.Do(w.interrupt) }

func (w *example) interrupt() {
	require.NoError(w.t, w.cmd.Process.Signal(os.Interrupt))
	kill := time.AfterFunc(time.Minute, func() { _ = w.cmd.Process.Kill() })
	defer kill.Stop()
	require.Empty(w.t, <-w.rest, "one address, and nothing else")
	require.NoError(w.t, w.cmd.Wait(), "an interrupt is no error")
	if w.t.Failed() {
		w.t.Logf("the server's log:\n%s", w.log)
	}
}

// lockedBuffer is a buffer that a process writes to while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// line is a connection between a browser and a server that can be lost.
type line struct {
	t        *testing.T
	listener net.Listener
	target   string

	mu    sync.Mutex
	lost  bool
	conns []net.Conn
}

// newLine leads to a server. Its address is the result of base.
func newLine(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{t: t, listener: listener, target: target}
	t.Cleanup(func() {
		listener.Close()
		l.cut()
	})
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(in)
		}
	}()
	return l
}

func (l *line) base() string { return "http://" + l.listener.Addr().String() }

func (l *line) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer out.Close()
	l.mu.Lock()
	lost := l.lost
	l.conns = append(l.conns, in, out)
	l.mu.Unlock()
	if lost {
		return
	}
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
}

// cut loses all connections; new ones fail until mend.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = true
	for _, c := range slices.Concat(l.conns) {
		c.Close()
	}
	l.conns = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = false
}
