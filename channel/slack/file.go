package slack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/crisphandover/handover"
)

var errNoFile = errors.New("slack: the file cannot be fetched: it was removed, or the app lacks the scope files:read")

// OpenFile is Config.OpenFile: it opens the file of a user with this File.ID. ctx bounds the reading as well.
func (c *Channel) OpenFile(ctx context.Context, _ handover.Conversation, id string) (handover.OpenedFile, error) {
	var out struct {
		File file `json:"file"`
	}
	if err := c.ask(ctx, "files.info", url.Values{"file": {id}}, &out); err != nil {
		return handover.OpenedFile{}, err
	}
	if !c.ours(out.File.URL) {
		return handover.OpenedFile{}, errNoFile
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, out.File.URL, nil)
	if err != nil {
		return handover.OpenedFile{}, errNoFile
	}
	r.Header.Set("Authorization", "Bearer "+c.config.Token.Reveal())
	response, err := c.config.Client.Do(r)
	if err != nil {
		return handover.OpenedFile{}, c.unreached(ctx, "the file's server", err)
	}
	isPage := strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") && !strings.HasPrefix(out.File.MIMEType, "text/html")
	if response.StatusCode != http.StatusOK || isPage { // the page where people sign in
		_ = response.Body.Close()
		return handover.OpenedFile{}, errNoFile
	}
	return handover.OpenedFile{Body: body{response.Body, c, ctx}, MIMEType: out.File.MIMEType, Size: max(out.File.Size, 0)}, nil
}

// ours reports whether a URL is on a server of Slack's, which may be given the token.
func (c *Channel) ours(address string) bool {
	u, err := url.Parse(address)
	api, _ := url.Parse(c.config.BaseURL)
	if err != nil || u.User != nil {
		return false
	}
	return u.Scheme == "https" && (u.Host == "slack.com" || strings.HasSuffix(u.Host, ".slack.com")) || u.Scheme == api.Scheme && u.Host == api.Host
}

// body is what a file holds. Its errors hold no token.
type body struct {
	io.ReadCloser
	channel *Channel
	ctx     context.Context
}

// Read reads on.
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.channel.unreached(b.ctx, "the file's server", err)
	}
	return n, err
}
