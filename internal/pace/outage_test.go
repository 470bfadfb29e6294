package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/pace"
)

func TestOutageIsToldOfNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &pace.Outage{Every: time.Minute}
		_, tell := o.Worked("save")
		require.False(t, tell, "it has not failed")
		told := 0
		for range 301 { // five minutes
			if _, tell := o.Failed("save"); tell {
				told++
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 6, told)
		failed, tell := o.Worked("save")
		require.True(t, tell)
		require.Equal(t, 301*time.Second, failed)
		_, tell = o.Worked("save")
		require.False(t, tell, "it was said")
		fails, _ := o.Failed("save")
		require.Equal(t, 1, fails, "it begins anew")
	})
}

// What fails every other time is no flood either.
func TestOutageThatComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, told := &pace.Outage{Every: time.Minute}, 0
		for range 120 {
			if _, tell := o.Failed("save"); tell {
				told++
			}
			if _, tell := o.Worked("save"); tell {
				told++
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 4, told)
	})
}

func TestOutageEndsWhenAllPartsWork(t *testing.T) {
	o := &pace.Outage{Every: time.Minute}
	since, fails := o.Failing()
	require.Zero(t, since)
	require.Zero(t, fails)
	_, tell := o.Failed("save")
	require.True(t, tell)
	o.Failed("load")
	since, fails = o.Failing()
	require.NotZero(t, since)
	require.Equal(t, 2, fails)
	_, tell = o.Worked("load")
	require.False(t, tell)
	_, tell = o.Worked("claim")
	require.False(t, tell)
	_, tell = o.Worked("save")
	require.True(t, tell)
	_, fails = o.Failing()
	require.Zero(t, fails)
}
