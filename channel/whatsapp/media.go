package whatsapp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/graphapi"
)

// file is a file that a user sent: OpenFile opens it.
func (m media) file() handover.File {
	mimeType, _, _ := strings.Cut(m.MIMEType, ";")
	return handover.File{ID: m.ID, Name: m.Filename, MIMEType: strings.TrimSpace(mimeType)}
}

// OpenFile opens a file that a user sent. channel.Attach sets it where Config.Files has a URL; Config.Files.MaxSize bounds
// what is read. Meta keeps a file that came in a web hook for 7 days ("Media" of its reference).
func (c *Channel) OpenFile(ctx context.Context, _ handover.Conversation, id string) (handover.OpenedFile, error) {
	var at struct {
		URL      string          `json:"url"`
		MIMEType string          `json:"mime_type"`
		Size     graphapi.Number `json:"file_size"`
	}
	path := url.PathEscape(id) + "?phone_number_id=" + c.number
	if err := c.api.Call(ctx, http.MethodGet, path, nil, &at); err != nil {
		return handover.OpenedFile{}, meaning(err)
	}
	response, err := c.api.Open(ctx, at.URL)
	if err != nil {
		return handover.OpenedFile{}, fmt.Errorf("whatsapp: a user's file: %w", err)
	}
	return handover.OpenedFile{Body: response.Body, MIMEType: at.MIMEType, Size: max(response.ContentLength, 0)}, nil
}
