package story

import "time"

var clockVerbs = []verb{
	{"<time> pass", func(_ *world, a []string) { time.Sleep(duration(a[0])) }},
	{"<time> passes", func(_ *world, a []string) { time.Sleep(duration(a[0])) }},
}
