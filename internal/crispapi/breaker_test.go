package crispapi_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

func number(i int) string { return fmt.Sprintf("session_%d", i) }

// ask makes a call again and again for a day, as soon as it may.
func ask(ctx context.Context, until time.Time, call func(context.Context) error) {
	for time.Now().Before(until) {
		wait := time.Second
		if e, _ := call(ctx).(*crispapi.Error); e != nil {
			wait = max(wait, e.Wait)
		}
		time.Sleep(wait)
	}
}

// B2: 200 conversations that ask all the time, and Crisp refuses everything. When it is slow, only the calls
// come on top that are made before its first answer.
func TestFailureCostsFewCalls(t *testing.T) {
	for name, tt := range map[string]struct {
		reply  reply
		most   int           // calls
		within time.Duration // a day, if it is not set
	}{
		"429":                   {reply{status: 429}, 350, 0},
		"429 that says 1 s":     {reply{status: 429, header: http.Header{"Retry-After": {"1"}}}, 350, 0},
		"429 that says an hour": {reply{status: 429, header: http.Header{"Retry-After": {"3600"}}}, 25, 0},
		"423":                   {reply{status: 423}, 350, 0},
		"401":                   {reply{status: 401}, 40, 0},
		"403 of the website":    {reply{status: 403, body: `{"reason":"website_member_role_not_allowed"}`}, 40, 0},
		"404, not subscribed":   {reply{status: 404, body: `{"reason":"not_subscribed"}`}, 40, 0},
		"403 without a word":    {reply{status: 403}, 300, 0},
		"403, scope":            {reply{status: 403, body: `{"reason":"token_scope_forbidden"}`}, 100, 0},
		"503":                   {reply{status: 503}, 80, time.Hour},
		"HTML":                  {reply{status: 200, body: "<html>"}, 80, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				require.LessOrEqual(t, callsWithin(t, cmp.Or(tt.within, 24*time.Hour), tt.reply, 0), tt.most)
			})
		})
		t.Run(name+", slowly", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quick := callsWithin(t, time.Hour, tt.reply, 0)
				require.LessOrEqual(t, callsWithin(t, time.Hour, tt.reply, time.Second), quick+2*askers)
			})
		})
	}
}

// askers is how many conversations callsWithin has. Each asks for two things.
const askers = 200

// callsWithin counts the calls that many conversations make which ask all the time, while each answer is
// the same and takes that long. They begin one after another, a millisecond apart, so that it does not
// depend on the scheduler which calls are made before the first answer.
func callsWithin(t *testing.T, within time.Duration, answer reply, takes time.Duration) int {
	c, s := client(func(string, string) reply { time.Sleep(takes); return answer })
	end := time.Now().Add(within)
	var all sync.WaitGroup
	for i := range askers {
		for n, call := range []func(context.Context) error{
			func(ctx context.Context) error { _, err := c.Conversation(ctx, number(i)); return err },
			func(ctx context.Context) error { _, err := c.Page(ctx, number(i), 0); return err },
		} {
			all.Go(func() {
				time.Sleep(time.Duration(2*i+n) * time.Millisecond)
				ask(t.Context(), end, call)
			})
		}
	}
	all.Wait()
	require.EqualValues(t, s.calls(), c.Calls.Load())
	return s.calls()
}

// What is held says why, and for how long, and costs no call.
func TestWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []crispapi.State
		s := &server{answer: always(reply{status: 429, header: http.Header{"Retry-After": {"30"}}})}
		heard := 0
		c := crispapi.New(crispapi.Config{WebsiteID: "w", HTTP: &http.Client{Transport: s},
			OnCall: func(context.Context, crispapi.Call) { heard++ }, OnState: func(s crispapi.State) { states = append(states, s) }})
		e := failure(t, c.SetState(t.Context(), session, "resolved"))
		require.False(t, e.Held)
		require.Equal(t, 30*time.Second, e.Wait)
		time.Sleep(10 * time.Second)
		e = failure(t, c.SetInbox(t.Context(), "session_2", "x"))
		require.True(t, e.Held && e.SafeToRetry())
		require.Equal(t, crispapi.Later, e.Class())
		require.Equal(t, 20*time.Second, e.Wait)
		require.Equal(t, 429, e.StatusCode)
		require.Equal(t, "change inbox", e.Op)
		require.ErrorContains(t, e, "not called again for 20s")
		require.Equal(t, 1, s.calls())
		require.Equal(t, 1, heard)

		s.answer = always(data(`{}`))
		time.Sleep(20 * time.Second)
		require.NoError(t, c.SetInbox(t.Context(), "session_2", "x"))
		require.NoError(t, c.SetState(t.Context(), session, "resolved"))
		require.Len(t, states, 2, "it opened, and closed")
		require.Equal(t, 429, states[0].StatusCode)
		require.Zero(t, states[1])
	})
}

// When a person has mended the token work goes on within the pause, and at once after a check.
func TestARepairIsNoticed(t *testing.T) {
	for _, check := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, s := client(always(reply{status: 401}))
			begun := time.Now()
			ask(t.Context(), begun.Add(10*time.Hour), func(ctx context.Context) error { return c.SetState(ctx, session, "resolved") })
			require.Less(t, s.calls(), 20)
			e := failure(t, c.SetState(t.Context(), session, "resolved"))
			require.Equal(t, crispapi.Person, e.Class())
			require.LessOrEqual(t, e.Wait, time.Hour)
			s.answer = always(data(`{}`))
			if check {
				require.NoError(t, c.Website(crispapi.Force(t.Context())))
			} else {
				time.Sleep(e.Wait + 2*time.Second)
			}
			require.NoError(t, c.SetState(t.Context(), session, "resolved"))
			require.NoError(t, c.SetState(t.Context(), "session_2", "resolved"))
		})
	}
}

// A check that a program makes all the time costs nothing while Crisp asks for fewer calls.
func TestACheckWaitsWhileTheQuotaIsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := client(always(reply{status: 429, header: http.Header{"Retry-After": {"60"}}}))
		for range 59 {
			require.Equal(t, crispapi.Later, failure(t, c.Website(crispapi.Force(t.Context()))).Class())
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, s.calls())
	})
}

// After the pause one call tries, however many want to.
func TestOneCallTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan reply)
		c, s := client(always(reply{status: 429}))
		require.Error(t, c.SetState(t.Context(), session, "resolved"))
		time.Sleep(5 * time.Second)
		s.answer = func(string, string) reply { return <-answer }
		var passed atomic.Int64
		for i := range 50 {
			go func() {
				if c.SetState(t.Context(), number(i), "resolved") == nil {
					passed.Add(1)
				}
			}()
		}
		synctest.Wait()
		require.Equal(t, 2, s.calls())
		answer <- data(`{}`)
		synctest.Wait()
		require.EqualValues(t, 1, passed.Load())
		close(answer)
	})
}

// B1: what is refused for good does not stop what is not.
func TestOneOperationRefusedForGood(t *testing.T) {
	for name, r := range map[string]reply{
		"scope": {status: 403, body: `{"reason":"token_scope_forbidden"}`}, "not allowed": {status: 403, body: `{"reason":"not_allowed"}`},
		"403": {status: 403}, "HTML": {status: 200, body: "<html>"}, "500": {status: 500}, "another shape": data(`[]`),
	} {
		for _, conversations := range []int{1, 20} {
			t.Run(name+" "+strconv.Itoa(conversations), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var refused atomic.Int64
					c, _ := client(func(_, path string) reply {
						if strings.Contains(path, "/messages") {
							return data(`[]`)
						}
						refused.Add(1)
						return r
					})
					end := time.Now().Add(20 * time.Hour)
					var all sync.WaitGroup
					for i := range conversations {
						all.Go(func() {
							ask(t.Context(), end, func(ctx context.Context) error {
								_, err := c.Page(ctx, number(i), 0)
								require.NoError(t, err)
								_, err = c.Conversation(ctx, number(i))
								return err
							})
						})
					}
					all.Wait()
					require.Less(t, int(refused.Load()), 1500+20*conversations)
					if r.status == 403 {
						require.Less(t, int(refused.Load()), 60+3*conversations)
					}
				})
			})
		}
	}
}

// A kind of call that fails in many conversations at once does not stop a kind that was not tried.
func TestOneOperationInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(func(_, path string) reply {
			if strings.Contains(path, "/messages") {
				return data(`[]`)
			}
			return data(`"another shape"`)
		})
		for i := range 40 {
			_, err := c.Conversation(t.Context(), number(i))
			require.Error(t, err)
		}
		_, err := c.Page(t.Context(), number(0), 0)
		require.NoError(t, err)
		_, err = c.Conversation(t.Context(), number(50))
		require.True(t, failure(t, err).Held)
	})
}

// One conversation that is refused holds up no other one.
func TestOneOddConversationHoldsUpNoOther(t *testing.T) {
	for name, r := range map[string]reply{
		"403": {status: 403, body: `{"reason":"not_allowed"}`}, "500": {status: 500}, "HTML": {status: 200, body: "<html>"},
		"404": {status: 404}, "409": {status: 409}, "400": {status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := client(func(_, path string) reply {
					if strings.Contains(path, "session_bad/") {
						return r
					}
					return data(`{}`)
				})
				end := time.Now().Add(time.Hour)
				go ask(t.Context(), end, func(ctx context.Context) error { return c.SetState(ctx, "session_bad", "resolved") })
				go ask(t.Context(), end, func(ctx context.Context) error { return c.SetInbox(ctx, "session_bad", "x") })
				for i := 0; time.Now().Before(end); i++ {
					time.Sleep(11 * time.Minute)
					begun := time.Now()
					ask(t.Context(), begun.Add(time.Millisecond), func(ctx context.Context) error {
						err := c.SetState(ctx, number(i), "resolved")
						if err != nil {
							time.Sleep(err.(*crispapi.Error).Wait)
							err = c.SetState(ctx, number(i), "resolved")
						}
						require.NoError(t, err)
						return nil
					})
					require.LessOrEqual(t, time.Since(begun), time.Minute+2*time.Second)
				}
				time.Sleep(2 * time.Hour) // until the others have ended
			})
		})
	}
}

// Crisp in trouble is left alone only after several failures in a row.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := false
		c, s := client(func(string, string) reply {
			if bad {
				return reply{status: 503}
			}
			return data(`{}`)
		})
		for i := range 100 {
			bad = i%8 != 0
			err := c.SetState(t.Context(), number(i), "resolved")
			require.Equal(t, bad, err != nil)
			if err != nil {
				require.Zero(t, failure(t, err).Wait)
			}
		}
		bad = true
		for range 5 {
			require.Error(t, c.SetState(t.Context(), session, "resolved"))
		}
		e := failure(t, c.SetState(t.Context(), session, "resolved"))
		require.Positive(t, e.Wait)
		require.Equal(t, crispapi.Later, failure(t, c.SetState(t.Context(), session, "resolved")).Class())
		bad = false
		time.Sleep(10 * time.Second)
		before := s.calls()
		require.NoError(t, c.SetState(t.Context(), session, "resolved"))
		require.NoError(t, c.SetInbox(t.Context(), session, "x"))
		require.Equal(t, before+2, s.calls())
	})
}

// Replicas tell each other; nothing that a store returns stops calls for longer than an hour.
func TestStateIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, _ := client(always(reply{status: 401}))
		two, s := client(always(data(`{}`)))
		require.NoError(t, two.SetState(t.Context(), session, "pending"))
		require.Error(t, one.SetState(t.Context(), session, "resolved"))
		two.Merge(one.State())
		e := failure(t, two.SetState(t.Context(), session, "resolved"))
		require.True(t, e.Held)
		require.Equal(t, crispapi.Person, e.Class())
		require.Equal(t, time.Minute, e.Wait)
		require.Equal(t, 1, s.calls())
		require.Equal(t, one.State(), two.State())
		require.Equal(t, one.State(), crispapi.State{}.Merge(one.State()))
		require.Equal(t, one.State(), one.State().Merge(crispapi.State{Until: time.Now()}))
		two.Merge(crispapi.State{})
		require.Equal(t, one.State(), two.State(), "the later counts")
		time.Sleep(time.Minute)
		require.NoError(t, two.SetState(t.Context(), session, "resolved"))

		two.Merge(crispapi.State{Until: time.Now().Add(24 * 365 * time.Hour), Pause: 1 << 60, StatusCode: 400})
		e = failure(t, two.SetState(t.Context(), session, "resolved"))
		require.Equal(t, time.Hour, e.Wait)
		time.Sleep(time.Hour)
		require.NoError(t, two.SetState(t.Context(), session, "resolved"))
	})
}

// A new process may have the token that was missing: it tries once, whatever the others know.
func TestANewProcessTriesOnceByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, _ := client(always(reply{status: 401}))
		require.Error(t, one.SetState(t.Context(), session, "resolved"))
		for range 3 { // each waits twice as long as before
			time.Sleep(time.Until(one.State().Until) + 3*time.Second) // the one that failed lets others try first
			require.Error(t, one.SetState(t.Context(), session, "resolved"))
		}

		mended, _ := client(always(data(`{}`)))
		mended.Merge(one.State())
		require.NoError(t, mended.SetState(t.Context(), session, "resolved"))
		require.Equal(t, crispapi.State{}, mended.State())

		as, s := client(always(reply{status: 401}))
		as.Merge(one.State())
		require.Error(t, as.SetState(t.Context(), session, "resolved"))
		as.Merge(one.State())
		require.True(t, failure(t, as.SetState(t.Context(), session, "resolved")).Held)
		require.Equal(t, 1, s.calls())
		require.Equal(t, int64(16*60), as.State().Pause)

		later, s := client(always(data(`{}`))) // what nobody can mend is waited for
		later.Merge(crispapi.State{Until: time.Now().Add(time.Minute), Pause: 60, StatusCode: 429})
		require.True(t, failure(t, later.SetState(t.Context(), session, "resolved")).Held)
		require.Zero(t, s.calls())
	})
}

// A caller that leaves gives the trial to another one.
func TestATrialThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := client(always(reply{status: 429}))
		require.Error(t, c.SetState(t.Context(), session, "resolved"))
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		s.answer = func(string, string) reply { cancel(); return reply{err: context.Canceled} }
		require.Error(t, c.SetState(ctx, session, "resolved"))
		s.answer = always(data(`{}`))
		require.NoError(t, c.SetState(t.Context(), session, "resolved"))
	})
}

func TestManyOddConversationsTakeLittleRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := client(nil)
		n := 0
		s.answer = func(string, string) reply { // never refused thrice in a row
			if n++; n%3 == 0 {
				return data(`{}`)
			}
			return reply{status: 403}
		}
		for i := range 3000 {
			_ = c.SetState(t.Context(), number(i), "resolved")
		}
		require.Equal(t, 3000, s.calls())
		require.LessOrEqual(t, c.Circuits(), 1024)
	})
}
