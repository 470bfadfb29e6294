package telegram

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/crisphandover/handover"
)

var (
	filePath  = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)
	errNoFile = errors.New("telegram: the file cannot be fetched any more: Telegram keeps it for some time, and gives bots files of up to 20 MB")
)

// OpenFile is Config.OpenFile: it opens the file of a user with this File.ID. ctx bounds the reading as well.
func (c *Channel) OpenFile(ctx context.Context, _ handover.Conversation, id string) (handover.OpenedFile, error) {
	var out struct {
		Path string `json:"file_path"`
		Size int64  `json:"file_size"`
	}
	if err := c.call(ctx, "getFile", map[string]any{"file_id": id}, &out); err != nil {
		return handover.OpenedFile{}, err
	}
	if !filePath.MatchString(out.Path) || strings.Contains(out.Path, "..") || strings.HasPrefix(out.Path, "/") {
		return handover.OpenedFile{}, errNoFile // such as a path on the disk of a server of one's own
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.BaseURL+"/file/bot"+c.config.Token.Reveal()+"/"+out.Path, nil)
	if err != nil {
		return handover.OpenedFile{}, errNoFile
	}
	response, err := c.config.Client.Do(r)
	if err != nil {
		return handover.OpenedFile{}, c.unreached(ctx, "file", err)
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return handover.OpenedFile{}, errNoFile
	}
	size := max(out.Size, 0)
	if size == 0 {
		size = max(response.ContentLength, 0)
	}
	return handover.OpenedFile{Body: body{response.Body, c, ctx}, Size: size}, nil
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
		err = b.channel.unreached(b.ctx, "file", err)
	}
	return n, err
}
