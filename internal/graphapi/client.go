// Package graphapi calls Meta's Graph API, and takes its web hooks: what Messenger and WhatsApp have in common.
//
//	api := graphapi.New(http.DefaultClient, graphapi.BaseURL, func() string { return token }, func() string { return appSecret })
//	var out struct{ ID string `json:"message_id"` }
//	err := api.Call(ctx, http.MethodPost, "me/messages", in, &out)
//
// Its errors hold neither the token nor what was sent, and no address.
package graphapi

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/crisphandover/handover/internal/tokenclient"
)

// BaseURL is where Meta's Graph API is, with the version that Meta's documentation of June 2026 has.
const BaseURL = "https://graph.facebook.com/v26.0/"

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Client calls the Graph API in the name of one token.
type Client struct {
	client *http.Client
	base   string        // ends in "/"
	token  func() string // a function: no printing shows what it returns
	secret func() string // the app's
}

// New returns a Client. Redirects are not followed: they would carry the token elsewhere. A nil client is one of
// its own; an empty base is BaseURL. With the secret of the token's app each call proves that it comes from a
// server of the app; apps with Meta's setting "Require App Secret" take no other calls.
func New(client *http.Client, base string, token, secret func() string) *Client {
	if base == "" {
		base = BaseURL
	}
	return &Client{client: tokenclient.Of(client), base: strings.TrimSuffix(base, "/") + "/", token: token, secret: secret}
}

// Call makes a call with in as its JSON body, unless that is nil, and reads the answer into out. What the Graph API
// refuses is an *Error.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return errors.New("what is to be sent is no JSON")
		}
		body = bytes.NewReader(b)
	}
	response, err := c.do(ctx, method, c.base+c.proven(path), body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return c.unreachable(err)
	case response.StatusCode != http.StatusOK:
		return refusal(response, answer)
	case json.Unmarshal(answer, out) != nil:
		return errors.New("the Graph API's answer is not JSON")
	}
	return nil
}

// proven adds the proof of the app's secret to a path, as Meta's page "Secure Graph API Calls" says.
func (c *Client) proven(path string) string {
	secret := c.secret()
	if secret == "" {
		return path
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(c.token()))
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + "appsecret_proof=" + hex.EncodeToString(mac.Sum(nil))
}

// Open gets what is at an address that the Graph API named, such as that of a file. The caller closes the body. The
// token goes to Meta's hosts only, and to that of the API itself.
func (c *Client) Open(ctx context.Context, address string) (*http.Response, error) {
	if !c.trusts(address) {
		return nil, errors.New("the file is not at one of Meta's addresses")
	}
	response, err := c.do(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return nil, refusal(response, answer)
	}
	return response, nil
}

// metaHosts end the names of the hosts that files are fetched from.
var metaHosts = []string{".fbsbx.com", ".facebook.com", ".fbcdn.net", ".whatsapp.net"}

// trusts reports whether the token may be sent to an address.
func (c *Client) trusts(address string) bool {
	to, err := url.Parse(address)
	own, _ := url.Parse(c.base)
	switch {
	case err != nil || to.User != nil:
		return false
	case own != nil && to.Scheme == own.Scheme && to.Host == own.Host:
		return true
	case to.Scheme != "https" || to.Port() != "":
		return false
	}
	for _, host := range metaHosts {
		if strings.HasSuffix(strings.ToLower(to.Hostname()), host) {
			return true
		}
	}
	return false
}

// do sends a request with the token in its header: URLs end up in logs.
func (c *Client) do(ctx context.Context, method, address string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, errors.New("the address of the Graph API is none: correct the base URL")
	}
	request.Header.Set("Authorization", "Bearer "+c.token())
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return response, nil
}

// unreachable says why there was no answer, without an address and without the token.
func (c *Client) unreachable(err error) error {
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err
	}
	switch token := c.token(); {
	case errors.Is(err, context.Canceled):
		err = context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		err = context.DeadlineExceeded
	case err == nil || token != "" && strings.Contains(err.Error(), token):
		return errors.New("the Graph API cannot be reached")
	}
	return fmt.Errorf("the Graph API cannot be reached: %w", err)
}
