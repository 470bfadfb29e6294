package webchat

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMemoryFiles keeps the files of each within bounds, and gives nobody's room to others.
func TestMemoryFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &MemoryFiles{Count: 3, ConversationBytes: 100, Bytes: 250}
		save := func(who string, size int) (string, error) {
			return m.Save(t.Context(), Upload{Conversation: who, Name: "a", Content: bytes.Repeat([]byte("x"), size)})
		}
		has := func(id string) bool {
			_, err := m.Open(t.Context(), id)
			if err != nil {
				require.ErrorIs(t, err, ErrNoFile)
			}
			return err == nil
		}
		var mine []string
		for range 4 {
			id, err := save("me", 10)
			require.NoError(t, err)
			mine = append(mine, id)
		}
		require.False(t, has(mine[0]), "my oldest makes room for my newest")
		require.True(t, has(mine[1]) && has(mine[2]) && has(mine[3]))
		_, err := save("me", 101)
		require.ErrorIs(t, err, ErrFull)
		big, err := save("me", 90)
		require.NoError(t, err)
		require.False(t, has(mine[2]))
		require.True(t, has(mine[3]) && has(big))

		full := 0
		for i := range 100 { // strangers
			if _, err := save(fmt.Sprint(i), 50); err != nil {
				require.ErrorIs(t, err, ErrFull)
				full++
			}
		}
		require.Equal(t, 97, full)
		require.True(t, has(mine[3]) && has(big))
		time.Sleep(fileAge + time.Second)
		_, err = save("stranger", 50)
		require.NoError(t, err, "old files make room")
		require.False(t, has(mine[3]))

		for range 100 {
			_, err := save("stranger", 1)
			require.NoError(t, err)
		}
		require.LessOrEqual(t, m.size, 250)
		sum := 0
		for _, f := range m.all {
			sum += len(f.Content)
		}
		require.Equal(t, sum, m.size)
		require.Len(t, m.order, len(m.all))
	})
}
