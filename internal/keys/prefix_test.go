package keys_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/keys"
)

func TestAfterPrefix(t *testing.T) {
	last := string(utf8.MaxRune)
	for prefix, want := range map[string]string{
		"a": "b", "site/": "site0", "é": "ê", "a\u007f": "a\u0080", "\ud7ff": "\ue000", "a%": "a&", "_": "`",
		"a" + last: "b", last + last: strings.Repeat(last, 257), "": strings.Repeat(last, 257),
	} {
		require.Equal(t, want, keys.AfterPrefix(prefix), "%q", prefix)
	}
}

// Every key is either one that begins with the prefix, or outside the range that is looked up.
func TestAfterPrefixIsTheEndOfARange(t *testing.T) {
	last := string(utf8.MaxRune)
	parts := []string{"", "a", "b", "/", "%", "_", "\\", "\x01", "\u007f", "\u0080", "é", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", last}
	var all []string
	for _, one := range parts {
		for _, two := range parts {
			all = append(all, one+two, one+two+one)
		}
	}
	all = append(all, strings.Repeat(last, 256))
	slices.Sort(all)
	for _, prefix := range slices.Compact(all) {
		for _, key := range all {
			within := key >= prefix && key < keys.AfterPrefix(prefix)
			require.Equal(t, strings.HasPrefix(key, prefix), within, "%q, %q", prefix, key)
		}
	}
}
