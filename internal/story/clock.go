package story

import "time"

// "meanwhile …", before any step, does not wait until that is done: what comes of it is told with
// the step in which it comes.
var clockVerbs = []verb{
	{"<time> pass", func(_ *world, a []string) { time.Sleep(duration(a[0])) }},
	{"<time> passes", func(_ *world, a []string) { time.Sleep(duration(a[0])) }},
}
