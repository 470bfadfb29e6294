package story

import (
	"os"
	"testing"
	"testing/synctest"
)

// Run runs the story in a file. With rewrite, what stands behind > in the file is replaced by what
// happened; without, the test fails where they differ.
func Run(t *testing.T, file string, rewrite bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	happened := make([][]string, len(s.steps))
	synctest.Test(t, func(t *testing.T) { play(t, file, s, happened) })
	if t.Failed() {
		return
	}
	if rewrite {
		if err := os.WriteFile(file, []byte(s.told(happened)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := s.differences(happened); d != "" {
		t.Errorf("%s tells another story (-: was told, +: happened):\n%s", file, d)
	}
}

// play takes one step after the other.
func play(t *testing.T, file string, s script, happened [][]string) {
	w := newWorld(t)
	for i, st := range s.steps {
		v, args, err := find(st.text)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, st.number, err)
		}
		if isGiven(st.text) {
			if w.started {
				t.Fatalf("%s:%d: what is given stands before all that happens", file, st.number)
			}
		} else {
			w.start()
		}
		v.run(w, args)
		if t.Failed() {
			t.Fatalf("%s:%d: %s", file, st.number, st.text)
		}
		happened[i] = w.report()
	}
}
