package crispapi

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// answer is the body of one of Crisp's answers: {"error":false,"reason":"updated","data":{}}.
type answer struct {
	empty  bool // there was no body
	failed bool // it says "error": true, or what cannot be read as false
	told   bool // it says "error": false
	reason string
	data   jsontext.Value // nil: none
	clear  bool           // data is what exactjson.Read returns, and can be read in one way only; else it is unchecked
}

var (
	errNoAnswer  = errors.New("it is empty")
	errNotObject = errors.New("it is no JSON object")
	errTwice     = errors.New("a member name occurs twice")
	errSaysError = errors.New(`it says "error"`)
	errNotDone   = errors.New("it does not say that it is done")
	errData      = errors.New("its data has another shape")
)

// readAnswer takes an answer apart. Data that is nested too deep to be read loses only what is too
// deep.
func readAnswer(body []byte) (a answer, err error) {
	if a.empty = len(bytes.TrimSpace(body)) == 0; a.empty {
		return a, nil
	}
	if v, clear, err := exactjson.Read(body); err == nil && clear && v.Kind() == jsontext.KindBeginObject {
		a.clear = true
		member := func(name string) exactjson.Field {
			return exactjson.To(name, func(v jsontext.Value) bool { return a.take(name, v) })
		}
		exactjson.Text{Value: v}.Fields(member("error"), member("reason"), member("data"))
		return a, nil
	}
	// What is cut here is still too deep for exactjson.Read, which says so of each message.
	body, _ = exactjson.Prune(body, 2*exactjson.MaxNesting)
	if jsontext.Value(body).Kind() != jsontext.KindBeginObject {
		return a, errNotObject
	}
	seen := make(map[string]bool)
	doubled := false
	err = exactjson.Members(body, func(name string, v jsontext.Value) {
		if a.take(name, v) {
			doubled = doubled || seen[name]
			seen[name] = true
		}
	})
	if err == nil && doubled {
		err = errTwice
	}
	return a, err
}

// take takes a member, and reports whether it is one of those that count.
func (a *answer) take(name string, v jsontext.Value) bool {
	switch name {
	case "error":
		a.told = v.Kind() == jsontext.KindFalse
		a.failed = !a.told && v.Kind() != jsontext.KindNull
	case "reason":
		a.reason = word(v)
	case "data":
		a.data = v
	default:
		return false
	}
	return true
}

// done reports why an answer with a status of 2xx is not what Crisp documents for a call, or nil.
//
// Crisp documents "error": false with a reason and with data; its words for success vary. A call that
// needs data is judged by that. Any other must be told that it is done. A PATCH that is answered by
// nothing is taken for done, as the official clients do: repeating it would do no harm, but never end
// either.
func (a answer) done(r request, status int) error {
	switch {
	case a.empty && r.take == nil && r.op.method == http.MethodPatch,
		a.empty && r.take == nil && r.op.method == http.MethodPost && status == http.StatusNoContent:
		return nil
	case a.empty:
		return errNoAnswer
	case a.failed:
		return errSaysError
	case r.take != nil:
		return r.take(a)
	case !a.saysDone():
		return errNotDone
	}
	return nil
}

// saysDone reports whether the answer itself says that the call is done: by "error": false, or by a
// reason where there is no "error".
func (a answer) saysDone() bool { return a.told || a.reason != "" && !a.failed }

// reasonOf reads Crisp's word for a failure.
func reasonOf(body []byte) string {
	if exactjson.Members(body, func(string, jsontext.Value) {}) != nil {
		return ""
	}
	return word(exactjson.Only(body, "reason"))
}

// word returns a string of one word. Anything else is dropped, since it could quote what a person
// wrote.
func word(v jsontext.Value) (s string) {
	exactjson.Set(&s, v)
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return s
}

// retryAfter reads the header Retry-After, which Crisp does not document: seconds, or a date, which is
// compared with the answer's own Date where there is one. It is an hour at the most.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		if !(s > 0) {
			return 0
		}
		return time.Duration(min(s, MaxWait.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), MaxWait)
}
