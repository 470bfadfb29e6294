package scenarios

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// A Handover that New did not make says so, whatever is asked of it.
func TestAHandoverThatNewDidNotMake(t *testing.T) {
	const says = "make it with New"
	answers := func(t *testing.T, h http.Handler) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
	}
	for name, h := range map[string]*handover.Handover{"zero": new(handover.Handover), "nil": nil} {
		all := reflect.ValueOf(h)
		for i := range all.NumMethod() {
			method := all.Type().Method(i).Name
			t.Run(name+" "+method, func(t *testing.T) {
				switch method {
				case "String", "Format", "LogValue", "Waiting", "Recalled": // it is printed as "handover"; the last two are tests'
					require.Equal(t, "handover", h.String())
					return
				case "ServeHTTP":
					answers(t, h)
					return
				}
				call := all.Method(i)
				args := make([]reflect.Value, call.Type().NumIn())
				for i := range args {
					args[i] = reflect.Zero(call.Type().In(i))
					if call.Type().In(i) == reflect.TypeFor[context.Context]() {
						args[i] = reflect.ValueOf(t.Context())
					}
				}
				if method == "Apply" {
					args[2] = reflect.ValueOf(handover.BotOutput{NeedHelp: true})
				}
				results := call.Call(args)
				switch last := results[len(results)-1].Interface().(type) {
				case error:
					require.ErrorContains(t, last, says)
				case handover.Report:
					require.ErrorContains(t, last.Err(), says)
				case handover.Health:
					require.True(t, last.ShutDown)
				case iter.Seq2[handover.ConversationStatus, error]:
					for _, err := range last {
						require.ErrorContains(t, err, says)
					}
				case http.Handler:
					answers(t, last)
				default:
					t.Fatalf("it returns %T", last)
				}
			})
		}
	}
}
