//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInterrupt interrupts the example, as ^C does: it ends without an error.
func TestInterrupt(t *testing.T) {
	if os.Getenv("MESSENGER_MAIN") != "" {
		main()
		return
	}
	example := exec.Command(os.Args[0], "-test.run=^TestInterrupt$")
	example.Env = []string{"MESSENGER_MAIN=yes", "LISTEN=127.0.0.1:0"}
	out, err := example.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, example.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "messenger: Meta's webhook is http://127.0.0.1:")
	require.NoError(t, example.Process.Signal(os.Interrupt))
	require.NoError(t, example.Wait())
}
