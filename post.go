package handover

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/textsplit"

	"github.com/crisphandover/handover/internal/weblink"
)

// maxPost is the longest text that is posted to Crisp as one message, in UTF-16 units: Crisp's own
// import tool cuts there. The true limit is unknown.
const maxPost = 2000

// post is one Crisp message made of what the user sent.
type post struct {
	typ     string
	content jsontext.Value
}

// posts turns a message of the user into Crisp messages: the text in parts, then the files.
func (m *Incoming) posts() []post {
	var all []post
	text := m.Text
	if textsplit.Blank(text) && len(m.Files) == 0 {
		text = m.Payload
	}
	for _, part := range textsplit.Split(text, maxPost) {
		all = append(all, post{"text", crispcontent.NewText(part)})
	}
	for _, f := range m.Files {
		typ, content := crispcontent.File(f).Message()
		all = append(all, post{typ, content})
	}
	return all
}

// size is about how many Crisp messages posts makes, at no great cost: at most twice as many.
func (m *Incoming) size() int { return textsplit.Units(m.Text)/maxPost + 1 + len(m.Files) }

// ErrUnsafeFile is returned by Receive for a file whose URL must not be given to Crisp.
var ErrUnsafeFile = errors.New("handover: the file's URL cannot be passed on")

// checkFile refuses URLs that no agent can open, and those that carry a secret.
func checkFile(f File) error {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: it must be an http or https URL", ErrUnsafeFile)
	}
	if u.User != nil {
		return fmt.Errorf("%w: it holds a password", ErrUnsafeFile)
	}
	if weblink.HoldsToken(u) {
		return fmt.Errorf("%w: a Telegram file URL holds the bot's token: serve the file from your own server", ErrUnsafeFile)
	}
	return nil
}
