package graphapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is what the Graph API says of a call that it refused, in numbers: its words may quote people. Meta lists
// them, in general at developers.facebook.com/docs/graph-api/guides/error-handling.
type Error struct {
	Status, Code, Subcode int
	// After is how long the API is to be left alone; 0: it did not say.
	After time.Duration
}

// Error names the numbers.
func (e *Error) Error() string {
	return fmt.Sprintf("the Graph API answers HTTP %d, code %d, subcode %d", e.Status, e.Code, e.Subcode)
}

// refusal reads an answer that is not 200. A proxy's has no codes.
func refusal(r *http.Response, answer []byte) *Error {
	e := &Error{Status: r.StatusCode, After: after(r.Header)}
	var body struct {
		Error struct {
			Code    int `json:"code"`
			Subcode int `json:"error_subcode"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &body) == nil {
		e.Code, e.Subcode = body.Error.Code, body.Error.Subcode
	}
	return e
}

// maxAfter is the longest wait that is believed.
const maxAfter = 24 * time.Hour

// after is the longest wait that the headers name: Retry-After in seconds, and of each business
// estimated_time_to_regain_access in minutes, as the page "Rate limits" of the Graph API's documentation says.
func after(h http.Header) (wait time.Duration) {
	if seconds, err := strconv.ParseInt(h.Get("Retry-After"), 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	}
	var usage map[string][]struct {
		Minutes float64 `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &usage) == nil {
		for _, uses := range usage {
			for _, u := range uses {
				wait = max(wait, time.Duration(min(u.Minutes, maxAfter.Minutes())*float64(time.Minute)))
			}
		}
	}
	return max(min(wait, maxAfter), 0)
}
