package admin_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/admin"
	"github.com/crisphandover/handover/handovertest"
)

// The page behind a login of the host's.
func ExampleNew() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := crisp.Config()
	config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
	h, err := handover.New(config)
	if err != nil {
		log.Fatal(err)
	}

	password := []byte(os.Getenv("ADMIN_PASSWORD") + "not empty")
	requireOperator := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, given, _ := r.BasicAuth()
			if subtle.ConstantTimeCompare([]byte(given), password) != 1 {
				w.Header().Set("WWW-Authenticate", `Basic realm="admin"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", requireOperator(admin.New(h, admin.Options{
		Audit: func(r *http.Request, action string, c handover.Conversation, err error) {
			who, _, _ := r.BasicAuth()
			log.Println(who, action, c.Source, c.ID, err)
		},
	})))

	for _, given := range []string{"", string(password)} {
		r := httptest.NewRequest(http.MethodGet, "/admin/list.json", nil)
		if given != "" {
			r.SetBasicAuth("ann", given)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Printf("%d %s", w.Code, w.Body)
	}
	// Output:
	// 401 200 {"conversations":[]}
}
