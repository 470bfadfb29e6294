package webchat_test

import (
	"testing"

	"github.com/crisphandover/handover/internal/guide"
)

// TestGuide finds the code of docs/webchat.md in code that is compiled and run. The tests in a browser load the page.
func TestGuide(t *testing.T) {
	const page, database = "../../docs/webchat.md", "../../internal/integration/webchat_store_test.go"
	guide.Compiled(t, page, "go", "example_test.go", database)
	guide.Compiled(t, page, "sql", database)
	guide.Compiled(t, page, "html", "example_test.go", "doc.go")
}
