package crispapi_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

// table is the table of docs/errors.md, made from the code's rules.
func table() string {
	var b strings.Builder
	b.WriteString("| Crisp answers | class | calls that stop | the library |\n| --- | --- | --- | --- |\n")
	for _, r := range crispapi.Rules() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.Answers, r.Class, r.Extent, r.Does)
	}
	return b.String()
}

// TestErrorsAreDocumented holds docs/errors.md against the code. With HANDOVER_WRITE_DOCS=1 it writes
// the table instead.
func TestErrorsAreDocumented(t *testing.T) {
	const file, begin, end = "../../docs/errors.md", "<!-- table -->\n", "<!-- end of table -->"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	written, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if os.Getenv("HANDOVER_WRITE_DOCS") == "1" {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+table()+end+after), 0o644))
		return
	}
	require.Equal(t, table(), written, "run this test with HANDOVER_WRITE_DOCS=1")
	for _, class := range []crispapi.Class{crispapi.Soon, crispapi.Later, crispapi.Person, crispapi.Never} {
		require.Contains(t, before, "**"+string(class)+"**")
	}
	for op, scope := range crispapi.Scopes() {
		if scope != "" {
			require.Contains(t, after, fmt.Sprintf("| %s | `%s` |", op, scope))
		} else {
			require.Contains(t, after, fmt.Sprintf("| %s | not documented |", op))
		}
	}
}

// Each rule decides for some answer: none is dead.
func TestEachRuleDecides(t *testing.T) {
	decides := make(map[string]bool)
	for _, words := range []string{"", "invalid_session", "not_subscribed", "website_not_found", "token_scope_forbidden", "not_allowed", "quota_limit_exceeded", "subscription_upgrade_required"} {
		for status := range 600 {
			e := &crispapi.Error{StatusCode: status, Reason: words}
			decides[crispapi.RuleOf(e).Answers] = true
			require.NotEmpty(t, e.Class())
			require.Equal(t, e.Class() == crispapi.Never, crispapi.RuleOf(e).Class == crispapi.Never)
		}
	}
	decides[crispapi.RuleOf(crispapi.Unbuilt()).Answers] = true
	require.Len(t, decides, len(crispapi.Rules()))
}
