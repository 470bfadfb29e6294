package handover

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimesOfChannelsAreSetRight(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct{ at, want time.Time }{
		"now":                     {now, now},
		"years ago":               {now.AddDate(-9, 0, 0), now.AddDate(-9, 0, 0)},
		"a minute ahead":          {now.Add(time.Minute), now.Add(time.Minute)},
		"finer than Crisp":        {now.Add(1234567), now.Add(time.Millisecond)},
		"not set":                 {time.Time{}, now},
		"1970":                    {time.Unix(0, 0), now},
		"before 1970":             {time.Date(1969, 7, 20, 0, 0, 0, 0, time.UTC), now},
		"before our era":          {time.Date(-44, 3, 15, 0, 0, 0, 0, time.UTC), now},
		"a day ahead":             {now.AddDate(0, 0, 1), now},
		"after 9999":              {time.Date(12026, 5, 1, 0, 0, 0, 0, time.UTC), now},
		"the last of all":         {time.Unix(math.MaxInt64, 0), now},
		"the first of all":        {time.Unix(math.MinInt64, 0), now},
		"an odd zone":             {now.In(time.FixedZone("odd", 25*3600+1)), now},
		"milliseconds as seconds": {time.Unix(now.UnixMilli(), 0), now},
	} {
		t.Run(name, func(t *testing.T) {
			got := plausibleTime(tt.at, now)
			require.Equal(t, tt.want, got)
			_, err := json.Marshal(got)
			require.NoError(t, err)
		})
	}
}
