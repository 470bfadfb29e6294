package crispapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"
)

// request is one call to make.
type request struct {
	op      *operation
	session string // empty: it is about no conversation
	path    string // below the website, or below the conversation if there is one
	body    any
	// take takes the answer's data; an error makes the answer one that Crisp does not document. Nil:
	// the call needs no data.
	take func(answer) error
}

// requester makes requests about one website. The official client makes the first one, which has all that is the same
// in each: the URL, and the headers with the token.
type requester struct {
	url    string // of the website
	header http.Header
	err    error
}

func newRequester(cfg Config) requester {
	// The official client would clone http.DefaultTransport, and panics if a program has changed it.
	client := crisp.NewWithConfig(crisp.ClientConfig{RestEndpointURL: cfg.BaseURL, HTTPClient: &http.Client{}})
	client.AuthenticateTier(cfg.Token.Tier, cfg.Token.Identifier, cfg.Token.Key)
	first, err := client.NewRequest(http.MethodGet, "website/"+cfg.WebsiteID, nil)
	if err != nil {
		return requester{err: errBuild}
	}
	return requester{url: first.URL.String(), header: first.Header}
}

// request makes the request of one call.
func (m *requester) request(ctx context.Context, r request) (*http.Request, error) {
	if m.err != nil {
		return nil, m.err
	}
	url := m.url
	if r.session != "" {
		url += "/conversation/" + r.session
	}
	var body io.Reader
	if r.body != nil {
		text := new(bytes.Buffer)
		if err := json.NewEncoder(text).Encode(r.body); err != nil {
			return nil, errBuild
		}
		body = text
	}
	req, err := http.NewRequestWithContext(ctx, r.op.method, url+r.path, body)
	if err != nil {
		return nil, errBuild
	}
	req.Header = m.header.Clone()
	return req, nil
}
