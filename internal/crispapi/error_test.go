package crispapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

func TestErrorSaysWhatHelps(t *testing.T) {
	for name, tt := range map[string]struct {
		e                            crispapi.Error
		temporary, person, postponed bool
		pause                        time.Duration
	}{
		"no permission":       {crispapi.Error{StatusCode: 403, Reason: "not_allowed"}, true, true, false, 0},
		"not on the plan":     {crispapi.Error{StatusCode: 402}, false, false, false, 0},
		"asked for a while":   {crispapi.Error{StatusCode: 429, RetryAfter: 30 * time.Second}, true, false, false, 30 * time.Second},
		"the quota":           {crispapi.Error{StatusCode: 423}, true, false, false, time.Minute},
		"held after it":       {crispapi.Error{StatusCode: 423, Held: true, Wait: 5 * time.Second}, true, false, true, 5 * time.Second},
		"held for long":       {crispapi.Error{StatusCode: 503, Held: true, Wait: time.Hour}, true, false, true, time.Minute},
		"held until mended":   {crispapi.Error{StatusCode: 401, Held: true, Wait: time.Hour}, true, true, false, 15 * time.Second},
		"held with an answer": {crispapi.Error{StatusCode: 429, Held: true, Wait: time.Second, RetryAfter: time.Hour}, true, false, true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.temporary, tt.e.Temporary())
			require.Equal(t, tt.person, tt.e.NeedsPerson())
			require.Equal(t, tt.postponed, tt.e.Postponed())
			require.Equal(t, tt.pause, tt.e.Pause())
		})
	}
}
