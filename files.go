package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/fileserve"
	"github.com/crisphandover/handover/internal/signedlink"
	"github.com/crisphandover/handover/internal/weblink"
	"github.com/crisphandover/handover/internal/worker"
)

// FileLinks are links by which Crisp and its agents open the files of users that only the bot can open: those that
// need the bot's token, as on Telegram, WhatsApp and Slack. A message of the user has such a file as
// File{ID: …}, without a URL; the library gives Crisp a link to Handover.FileHandler, which calls Config.OpenFile.
// The link is signed and expires; within that time whoever has it can open the file.
type FileLinks struct {
	// URL is where Handover.FileHandler is to be found from outside, such as
	// "https://bot.example.com/handover/files". Empty means that there are no such links.
	URL string
	// SigningKey signs the links. At least 32 random bytes, the same on each replica. Required with URL.
	// It may be that of History: each link opens what it was made for.
	SigningKey Secret
	// OldSigningKeys are former keys whose links still open.
	OldSigningKeys []Secret
	// TTL is how long a link opens, rounded down to seconds. The default, 0, is 30 days. Many platforms keep
	// files for a shorter time.
	TTL time.Duration
	// MaxSize is the largest file that is served, in bytes. Default: 25 MiB.
	MaxSize int64
}

// String returns the settings without keys.
func (f FileLinks) String() string { return "files at " + f.URL }

// Format writes String, whatever the verb.
func (f FileLinks) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// LogValue keeps keys out of logs.
func (f FileLinks) LogValue() slog.Value { return slog.StringValue(f.String()) }

// MarshalText keeps keys out of JSON.
func (f FileLinks) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

const (
	filePurpose    = "handover file link" // what the links are signed for
	defaultMaxSize = 25 << 20
	openTime       = 10 * time.Second
	// maxFilesHung is how many calls of Config.OpenFile may hang until no more are made.
	maxFilesHung = 64
	// maxFilesOpen is how many files are served at a time; more are answered 503.
	maxFilesOpen = 64
)

// links are its links.
func (f FileLinks) links() signedlink.Page {
	return linksOf(filePurpose, f.URL, f.SigningKey, f.OldSigningKeys, f.TTL)
}

// prepare fills in the default, and names what does not go together.
func (f *FileLinks) prepare(opens bool, fault faultf) {
	f.OldSigningKeys = slices.Clone(f.OldSigningKeys)
	switch {
	case f.URL != "" && !opens:
		fault("OpenFile must be set when Files.URL is: the links open what it returns; channel.Attach sets it where Files is set before")
	case f.URL == "" && opens:
		fault("Files.URL must be set when OpenFile is: agents open files at it")
	}
	if f.MaxSize < 0 {
		fault("Files.MaxSize is %d: write a positive number of bytes, or leave it out for 25 MiB", f.MaxSize)
	}
	f.MaxSize = cmp.Or(f.MaxSize, defaultMaxSize)
}

// OpenedFile is a file that Config.OpenFile has opened.
type OpenedFile struct {
	// Body is what the file holds; the library closes it. With an io.Seeker, parts of it are reached without
	// reading what is before. It should end with an error when the ctx of OpenFile ends, as the body of an HTTP
	// response does.
	Body io.ReadCloser
	// MIMEType is what the file is, as far as it is known: else that of the File. Pictures, sound, films and plain
	// text are shown to agents, all else is saved.
	MIMEType string
	// Size is how many bytes it has; 0: not known. Then it is served from its beginning only, so that some
	// browsers do not play films.
	Size int64
}

// errUnsafeFile is for a file that must not be given to Crisp.
var errUnsafeFile = fmt.Errorf("%w: its file cannot be passed on", ErrBadMessage)

// The bounds of what describes a file, in bytes.
const (
	maxFileURL  = 4096
	maxFileName = 1024
	maxFileID   = 1024
)

// checkFile refuses files that no agent can open, and URLs that give a secret away.
func (c *Config) checkFile(f File) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{errUnsafeFile}, args...)...)
	}
	switch {
	case len(f.URL) > maxFileURL:
		return bad("its URL is longer than %d bytes", maxFileURL)
	case len(f.Name) > maxFileName || len(f.MIMEType) > maxFileName:
		return bad("its name or type is longer than %d bytes", maxFileName)
	case len(f.ID) > maxFileID:
		return bad("its id is longer than %d bytes", maxFileID)
	case f.URL == "" && f.ID != "" && c.Files.URL == "":
		return bad("it has an id and no URL: set Config.OpenFile and Config.Files")
	case f.URL == "" && f.ID != "":
		return nil
	}
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return bad("it must be an http or https URL, or have an id")
	case u.User != nil:
		return bad("its URL holds a password")
	case weblink.HoldsToken(u):
		return bad("a Telegram file URL holds the bot's token: set File.ID and Config.OpenFile")
	case weblink.HoldsSecret(u):
		return bad("its URL holds a secret, such as a token or a signature, which agents would see: set File.ID and Config.OpenFile")
	case !c.Policy.LocalFiles && weblink.Local(u.Hostname()):
		return bad("its URL leads to this machine or to a private network, where agents cannot open it: set File.ID and Config.OpenFile, or for development Policy.LocalFiles")
	}
	return nil
}

// linkFiles gives the files of a message that have an id alone their links.
func (c *Config) linkFiles(m *Incoming, now time.Time) {
	m.Files = slices.Clone(m.Files)
	for i := range m.Files {
		if f := &m.Files[i]; f.URL == "" {
			about := f.content().Tidy()
			f.Name, f.MIMEType = about.Name, about.MIMEType
			f.URL = c.Files.links().Link(now, c.website(m.Conversation), m.Conversation.Source, m.Conversation.ID, f.ID, f.Name, f.MIMEType)
		}
	}
}

// content is the file as Crisp shows it.
func (f File) content() crispcontent.File {
	return crispcontent.File{URL: f.URL, Name: f.Name, MIMEType: f.MIMEType, Size: f.Size, Duration: f.Duration}
}

// filePage serves the files that links lead to.
type filePage struct {
	files    FileLinks
	open     func(context.Context, Conversation, string) (OpenedFile, error)
	logger   *slog.Logger
	observed func(Activity) // gets the errors of open, which may hold words
	bulkhead *worker.Bulkhead
	places   chan struct{}
}

// ServeHTTP implements http.Handler: the file, or a line that says why there is none.
func (p filePage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Files can only be read.", http.StatusMethodNotAllowed)
		return
	}
	fields, err := p.files.links().Open(r.URL.Query().Get("t"), time.Now(), 6)
	switch {
	case errors.Is(err, signedlink.ErrExpired):
		http.Error(w, "This link has expired.", http.StatusGone)
		return
	case err != nil || p.open == nil:
		http.Error(w, "This link does not lead anywhere.", http.StatusNotFound)
		return
	}
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "Too many files are read at once. Try again in a minute.", http.StatusServiceUnavailable)
		return
	}
	c := Conversation{WebsiteID: fields[0], Source: fields[1], ID: fields[2]}
	err = fileserve.Serve(w, r, fileserve.File{
		Name: fields[4], MIMEType: fields[5], Max: p.files.MaxSize,
		Open: func(ctx context.Context) (fileserve.Source, error) { return p.source(ctx, c, fields[3]) },
	})
	if err != nil && r.Context().Err() == nil {
		p.logger.ErrorContext(r.Context(), "handover: a file of a user could not be served whole: Config.Observe gets the error")
		p.observed(Activity{Kind: ActivityFault, Conversation: c, Effect: "file", Err: err, At: time.Now()})
	}
}

// source calls Config.OpenFile for at most openTime. What is opened later is closed.
func (p filePage) source(ctx context.Context, c Conversation, id string) (fileserve.Source, error) {
	reading, cancel := context.WithCancel(ctx) // for as long as the body is read
	file, err := worker.Call(ctx, p.bulkhead, c.Source, openTime, func(context.Context) (OpenedFile, error) {
		file, err := guarded(reading, c, func(ctx context.Context, c Conversation) (OpenedFile, error) { return p.open(ctx, c, id) })
		if reading.Err() != nil && file.Body != nil {
			_ = file.Body.Close() // nobody waits any more
		}
		return file, err
	})
	if err != nil {
		cancel()
		return fileserve.Source{}, err
	}
	context.AfterFunc(ctx, cancel)
	return fileserve.Source{Body: file.Body, MIMEType: strings.TrimSpace(file.MIMEType), Size: max(file.Size, 0)}, nil
}
