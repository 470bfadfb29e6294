package keys_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/keys"
)

func TestShelf(t *testing.T) {
	s := keys.NewShelf[string](160, time.Minute)
	_, ok := s.Take("a", 1)
	require.False(t, ok)

	s.Put("a", nil, 1, "first", 10)
	s.Put("a", nil, 2, "second", 10)
	got, ok := s.Take("a", 2)
	require.True(t, ok)
	require.Equal(t, "second", got)
	_, ok = s.Take("a", 2)
	require.False(t, ok, "only one may have it")

	s.Put("a", nil, 2, "second", 10)
	_, ok = s.Take("a", 3)
	require.False(t, ok, "another version is stored")

	s.Put("large", nil, 1, "", 11)
	_, ok = s.Take("large", 1)
	require.False(t, ok, "it would take the room of many")
}

func TestShelfForgetsTheOldest(t *testing.T) {
	s := keys.NewShelf[int](160, time.Minute)
	for i := range 20 {
		s.Put(string(rune('a'+i)), nil, 1, i, 10)
	}
	for i := range 20 {
		_, ok := s.Take(string(rune('a'+i)), 1)
		require.Equal(t, i >= 4, ok, i)
	}
}

func TestShelfKeepsForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := keys.NewShelf[string](160, time.Minute)
		s.Put("a", nil, 1, "", 1)
		time.Sleep(30 * time.Second)
		s.Put("b", nil, 1, "", 1)
		s.Put("c", nil, 1, "", 1)
		s.Remove("c")
		time.Sleep(30 * time.Second)
		s.Expire()
		for key, kept := range map[string]bool{"a": false, "b": true, "c": false} {
			_, ok := s.Take(key, 1)
			require.Equal(t, kept, ok, key)
		}
		s.Put("d", nil, 1, "", 1)
		s.Clear()
		_, ok := s.Take("d", 1)
		require.False(t, ok)
		s.Put("e", nil, 1, "", 10)
		_, ok = s.Take("e", 1)
		require.True(t, ok)
	})
}

func TestShelfFindsByName(t *testing.T) {
	s := keys.NewShelf[string](160, time.Minute)
	s.Put("a", []string{"x", "y"}, 1, "first", 10)
	key, got, ok := s.TakeAny("y")
	require.True(t, ok)
	require.Equal(t, "a first", key+" "+got)
	for _, name := range []string{"a", "x", "y"} {
		_, _, ok = s.TakeAny(name)
		require.False(t, ok, "only one may have it")
	}
	s.Put("a", []string{"x"}, 1, "first", 10)
	s.Put("b", []string{"x"}, 1, "second", 10)
	s.Remove("a")
	key, _, ok = s.TakeAny("x")
	require.True(t, ok, "the name is another's by now")
	require.Equal(t, "b", key)
}
