package handovertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// caller calls the fake as a bare HTTP client, with every header that Crisp asks for.
type caller struct {
	t    *testing.T
	c    *handovertest.Crisp
	site string
}

func newCaller(t *testing.T, c *handovertest.Crisp) caller {
	return caller{t: t, c: c, site: c.URL() + "website/" + c.WebsiteID()}
}

// reply is an answer of the fake.
type reply struct {
	status int
	header http.Header
	body   []byte
	Error  bool
	Reason string
	Data   json.RawMessage
}

// request makes a request for a path below the website.
func (c caller) request(ctx context.Context, method, path, body string) *http.Request {
	c.t.Helper()
	var content io.Reader
	if body != "" {
		content = bytes.NewReader([]byte(body))
	}
	r, err := http.NewRequestWithContext(ctx, method, c.site+path, content)
	require.NoError(c.t, err)
	r.SetBasicAuth(c.c.Token())
	r.Header.Set("X-Crisp-Tier", c.c.Tier())
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send sends a request and decodes the answer.
func (c caller) send(r *http.Request) (reply, error) {
	response, err := c.c.Client().Do(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: response.StatusCode, header: response.Header, body: body}
	_ = json.Unmarshal(body, &out)
	return out, nil
}

// do is send, for a call that is answered.
func (c caller) do(method, path, body string) reply {
	c.t.Helper()
	out, err := c.send(c.request(c.t.Context(), method, path, body))
	require.NoError(c.t, err)
	return out
}

// ok is do, for a call that succeeds.
func (c caller) ok(method, path, body string) reply {
	c.t.Helper()
	out := c.do(method, path, body)
	require.Less(c.t, out.status, 300, "%s", out.body)
	return out
}

// open creates a conversation and returns its path.
func (c caller) open() (*handovertest.Conversation, string) {
	c.t.Helper()
	c.ok("POST", "/conversation", "")
	v := c.c.Last()
	return v, "/conversation/" + v.ID()
}

// userSays posts a text of the user.
func (c caller) userSays(path, text string) {
	c.t.Helper()
	c.ok("POST", path+"/message", userText(text))
}

// userText is the body of a text of the user.
func userText(text string) string {
	body, _ := json.Marshal(map[string]any{"type": "text", "from": "user", "origin": "chat", "content": text})
	return string(body)
}

// texts returns the contents of a page of messages.
func (r reply) texts() []string {
	var page []struct{ Content any }
	_ = json.Unmarshal(r.Data, &page)
	out := []string{}
	for _, m := range page {
		text, _ := m.Content.(string)
		out = append(out, text)
	}
	return out
}
