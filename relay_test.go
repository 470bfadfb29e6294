package handover

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever ids a channel gives to its messages, none is ever taken for one of the library's own.
func TestFingerprintsOfUsersAndOursDiffer(t *testing.T) {
	c := Conversation{Source: "webchat", ID: "user-1"}
	const owner = "H"
	opening, note := fingerprint(c, owner, ofOpening, "", 0), fingerprint(c, owner, ofNote, "", 0)
	require.NotEqual(t, opening, note)
	for _, id := range []string{"opening", "note", "user", "", `" "`, `opening" ""`, "H", "0"} {
		for part := range 3 {
			fp := fingerprint(c, owner, ofUser, id, part)
			require.NotContains(t, []int64{opening, note, fingerprint(c, owner, ofNote, "", part)}, fp, id)
			require.True(t, fp > 0 && fp < 1<<53)
		}
	}
}

// A process of another release finds what this one has posted: names are quoted as %q does, whatever is in them.
func TestFingerprintsStay(t *testing.T) {
	require.Equal(t, int64(921_870_353_500_402), fingerprint(Conversation{WebsiteID: "site", Source: "webchat", ID: "user-1"}, "H", ofUser, "m-1", 2))
	for _, id := range []string{"", "user 1 ~", `"`, `\`, "a\nb", "\x00", "\x7f", "é", "\u202e", "\U0001f642", "\xff", "\ufffd"} {
		require.Equal(t, fmt.Sprintf("%q", id), string(appendQuoted(nil, id)))
	}
}
