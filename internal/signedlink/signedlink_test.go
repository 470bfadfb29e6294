package signedlink

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	key   = strings.Repeat("k", 32)
	other = strings.Repeat("o", 32)
	now   = time.Date(2026, 5, 1, 12, 0, 0, 999, time.UTC)
	hour  = now.Add(time.Hour)
)

func TestOpen(t *testing.T) {
	for _, fields := range [][]string{nil, {""}, {"", ""}, {"a", "bc"}, {"ab", "c"}, {"\xff\x00", "é", strings.Repeat("x", 3000)}} {
		token := Sign("test", key, hour, fields...)
		require.Equal(t, token, Sign("test", key, hour, fields...))
		require.Regexp(t, "^[A-Za-z0-9_-]+$", token)
		got, err := Open("test", []string{key}, token, now)
		require.NoError(t, err)
		require.Equal(t, fields, got)
	}
	require.NotEqual(t, Sign("test", key, hour, "ab", "c"), Sign("test", key, hour, "a", "bc"))
}

// The token was made by another program, from the description of the format. It expires in 2100.
func TestFormat(t *testing.T) {
	const token = "AAAAAPSGVwABdwd3ZWJjaGF0ATFa7jdVriHT786EaGrAG60cNdJQa76hJfzrcona_JxpCA"
	require.Equal(t, token, Sign("handover history link", key, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "w", "webchat", "1"))
	got, err := Open("handover history link", []string{key}, token, now)
	require.NoError(t, err)
	require.Equal(t, []string{"w", "webchat", "1"}, got)
}

func TestOpenExpires(t *testing.T) {
	token := Sign("test", key, hour, "a")
	for after, want := range map[time.Duration]error{
		-1000 * time.Hour: nil, 0: nil, time.Hour - time.Second: nil, time.Hour: ErrExpired, math.MaxInt64: ErrExpired,
	} {
		_, err := Open("test", []string{key}, token, now.Add(after))
		require.ErrorIs(t, err, want, after)
	}
	_, err := Open("test", []string{other}, token, hour)
	require.ErrorIs(t, err, ErrWrong, "only who has the key learns that a link was once good")
	_, err = Open("test", []string{key}, Sign("test", key, time.Time{}), now)
	require.ErrorIs(t, err, ErrExpired, "before 1970")
}

func TestOpenWithKeys(t *testing.T) {
	token := Sign("test", key, hour, "a")
	for _, row := range []struct {
		purpose string
		keys    []string
		want    error
	}{
		{"test", []string{other, key}, nil},
		{"test", []string{key, other}, nil},
		{"test", []string{other, ""}, ErrWrong},
		{"test", nil, ErrWrong},
		{"test ", []string{key}, ErrWrong},
		{"", []string{key}, ErrWrong},
	} {
		_, err := Open(row.purpose, row.keys, token, now)
		require.ErrorIs(t, err, row.want, "%+v", row)
	}
	_, err := Open("test", []string{""}, Sign("test", "", hour, "a"), now)
	require.ErrorIs(t, err, ErrWrong, "an empty key opens nothing")
}

func TestOpenAltered(t *testing.T) {
	token := Sign("test", key, hour, "w", "webchat", "1")
	for i := range token {
		for _, c := range []byte("A_\n") {
			if altered := token[:i] + string(c) + token[i+1:]; altered != token {
				_, err := Open("test", []string{key}, altered, now)
				require.ErrorIs(t, err, ErrWrong)
			}
		}
	}
	for _, altered := range []string{"", token + "A", token + "=", token[:len(token)-1], token + "\n", "\r" + token, " " + token,
		strings.ToLower(token), token + token} {
		_, err := Open("test", []string{key}, altered, now)
		require.ErrorIs(t, err, ErrWrong, altered)
	}
}

// A payload that was signed with the key but is none of Sign's.
func TestOpenOtherPayload(t *testing.T) {
	future := "\x00\x00\x01\x00\x00\x00\x00\x00"
	for _, payload := range []string{"", "\x00", future + "\x05ab", future + "\x01a\x02b",
		future + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", future + strings.Repeat("\xff", 11)} {
		token := base64.RawURLEncoding.EncodeToString([]byte(payload + string(sign("test", key, []byte(payload)))))
		_, err := Open("test", []string{key}, token, now)
		require.ErrorIs(t, err, ErrWrong, "%q", payload)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("w", "1", uint32(0), "")
	f.Add("a", "bc", uint32(59), "AAAA")
	f.Add("", "\xff\x00", uint32(3599), Sign("test", other, hour, "ab", "c"))
	f.Add("", "", uint32(3600), "\n")
	f.Fuzz(func(t *testing.T, first, second string, age uint32, junk string) {
		token := Sign("test", key, hour, first, second)
		got, err := Open("test", []string{key}, token, now.Add(time.Duration(age)*time.Second))
		if age < 3600 {
			require.NoError(t, err)
			require.Equal(t, []string{first, second}, got)
		} else {
			require.ErrorIs(t, err, ErrExpired)
		}
		at := int(age) % len(token)
		for _, altered := range []string{junk, token + junk, junk + token, token[:at] + junk, token[:at] + junk + token[at:]} {
			if altered != token {
				got, err := Open("test", []string{key}, altered, now)
				require.Error(t, err)
				require.Empty(t, got)
			}
		}
	})
}
