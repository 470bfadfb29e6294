package crispapi_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

// A last try that fails keeps nobody waiting for longer, and one that goes well lets all go on.
func TestLastTriesDoNotLengthenThePause(t *testing.T) {
	for _, status := range []int{401, 429} {
		synctest.Test(t, func(t *testing.T) {
			c, s := client(always(reply{status: status}))
			held := failure(t, c.SetState(t.Context(), session, "resolved")).Wait
			begun := time.Now()
			for i := range 50 {
				require.Error(t, c.SetState(crispapi.LastTry(t.Context()), number(i), "resolved"))
				time.Sleep(held / 100)
			}
			require.LessOrEqual(t, s.calls(), 2+int(held/(2*time.Second)), "one in two seconds")
			require.LessOrEqual(t, failure(t, c.SetState(t.Context(), "session_x", "resolved")).Wait, held-time.Since(begun)+3*time.Second)
			s.answer = always(data(`{}`))
			time.Sleep(3 * time.Second)
			require.NoError(t, c.SetState(crispapi.LastTry(t.Context()), session, "resolved"))
			require.NoError(t, c.SetState(t.Context(), "session_y", "resolved"))
		})
	}
}

// No last try is made before a time that Crisp told, whatever failed since, in whichever circuit it was told.
func TestLastTriesWaitForATimeThatCrispTold(t *testing.T) {
	told := reply{status: 429, header: http.Header{"Retry-After": {"600"}}}
	for name, answers := range map[string][]reply{
		"told":                     {told},
		"told, then another fault": {told, {status: 401}},
		"told with a server error": {{status: 503, header: http.Header{"Retry-After": {"600"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := 0
				c, s := client(func(string, string) reply {
					i++
					return answers[min(i, len(answers))-1]
				})
				for range 10 {
					_ = c.SetState(t.Context(), session, "resolved")
				}
				_ = c.Website(crispapi.Force(t.Context()))
				before := s.calls()
				for range 100 {
					require.Error(t, c.SetState(crispapi.LastTry(t.Context()), session, "resolved"))
					time.Sleep(3 * time.Second)
				}
				require.Equal(t, before, s.calls())
			})
		})
	}
}
