package worker

import "runtime/debug"

// Guard calls f and keeps a panic in. It reports whether f returned. Of a panic, report gets the
// stack. A panic of report itself is kept in as well, without a word: nobody is left to tell.
func Guard(report func(stack string), f func()) (ok bool) {
	defer func() {
		if recover() == nil {
			return
		}
		stack := string(debug.Stack()) // of where the panic was raised: its frames are still there
		defer func() { _ = recover() }()
		if report != nil {
			report(stack)
		}
	}()
	f()
	return true
}
