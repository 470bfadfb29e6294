package handover

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/textsplit"
	json "github.com/go-json-experiment/json"
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
	if blank(text) && len(m.Files) == 0 {
		text = m.Payload
	}
	for _, part := range textsplit.Split(text, maxPost) {
		all = append(all, textPost(part))
	}
	for _, f := range m.Files {
		all = append(all, f.post())
	}
	return all
}

// size is about how many Crisp messages posts makes, at no great cost: at most twice as many.
func (m *Incoming) size() int { return textsplit.Units(m.Text)/maxPost + 1 + len(m.Files) }

func textPost(text string) post { return post{"text", quote(text)} }

// quote makes a JSON string of any text.
func quote(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		return jsontext.Value(`""`)
	}
	return b
}

// post makes a file a Crisp message: audio as such, all else, images included, as a file.
func (f *File) post() post {
	if strings.HasPrefix(f.MIMEType, "audio/") {
		c := map[string]any{"url": f.URL, "type": f.MIMEType}
		if s := int(f.Duration / time.Second); s > 0 {
			c["duration"] = s
		}
		return post{"audio", jsonOf(c)}
	}
	name, mime := f.Name, f.MIMEType
	if name == "" {
		name = "file"
		if u, err := url.Parse(f.URL); err == nil && path.Base(u.Path) != "/" && path.Base(u.Path) != "." {
			name = path.Base(u.Path)
		}
	}
	if mime == "" {
		mime = "application/octet-stream"
	}
	return post{"file", jsonOf(map[string]any{"name": name, "url": f.URL, "type": mime})}
}

// jsonOf makes JSON of a value that cannot fail to become it.
func jsonOf(v any) jsontext.Value {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return jsontext.Value("null")
	}
	return b
}

// ErrUnsafeFile is returned by Receive for a file whose URL must not be given to Crisp.
var ErrUnsafeFile = errors.New("handover: the file's URL cannot be passed on")

// telegramFile is in the path of a file on Telegram's API, also on a server of the host's own: it holds
// the bot's token.
var telegramFile = regexp.MustCompile(`/file/bot[^/]+:`)

// checkFile refuses URLs that no agent can open, and those that carry a secret.
func checkFile(f File) error {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: it must be an http or https URL", ErrUnsafeFile)
	}
	if u.User != nil {
		return fmt.Errorf("%w: it holds a password", ErrUnsafeFile)
	}
	if telegramFile.MatchString(u.Path) {
		return fmt.Errorf("%w: a Telegram file URL holds the bot's token: serve the file from your own server", ErrUnsafeFile)
	}
	return nil
}
