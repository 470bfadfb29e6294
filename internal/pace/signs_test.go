package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/pace"
)

func TestSigns(t *testing.T) {
	for name, tt := range map[string]struct {
		signs []bool // one after another, at once
		now   []bool // those that are passed on at once
		later []bool // those that follow, one for each time
	}{
		"one":                      {[]bool{true}, []bool{true}, nil},
		"still on":                 {[]bool{true, true, true}, []bool{true}, []bool{true}},
		"on and off":               {[]bool{true, false}, []bool{true, false}, nil},
		"on, off and on again":     {[]bool{true, false, true}, []bool{true, false}, []bool{true}},
		"off twice":                {[]bool{false, false}, []bool{false}, nil},
		"on and off, many a time":  {[]bool{true, false, true, false, true, false}, []bool{true, false}, nil},
		"the last one is the word": {[]bool{true, false, false, true}, []bool{true, false}, []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &pace.Signs{Every: time.Second}
				var now, later []bool
				for _, on := range tt.signs {
					if s.Now("a", on, func(on bool) { later = append(later, on) }) {
						now = append(now, on)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Equal(t, tt.now, now)
				require.Equal(t, tt.later, later)
				require.True(t, s.Now("a", true, nil), "the key was forgotten")
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestSignsOfOtherKeysAndForgottenOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pace.Signs{Every: time.Second}
		never := func(bool) { t.Error("passed on later") }
		require.True(t, s.Now("a", true, never))
		require.True(t, s.Now("b", true, never))
		require.False(t, s.Now("a", true, never))
		s.Forget("a")
		require.True(t, s.Now("a", true, never))
		time.Sleep(time.Minute)
	})
}
