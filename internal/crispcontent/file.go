package crispcontent

import (
	"math"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

// File is a file by its URL.
type File struct {
	URL      string
	Name     string
	MIMEType string
	Size     int64         // bytes; 0: not known
	Duration time.Duration // of audio and video; 0: not known
}

// readFile returns the content of a message of type file, animation or audio, and what the file is:
// image, video, audio or file. Without a link that is safe it is ErrLink.
func readFile(typ string, content jsontext.Value) (f File, kind string, err error) {
	var file struct {
		Name     Text           `json:"name"`
		URL      Text           `json:"url"`
		Type     Text           `json:"type"`
		Size     jsontext.Value `json:"size"`
		Duration jsontext.Value `json:"duration"` // seconds
	}
	if err := read(content, &file); err != nil {
		return File{}, "", err
	}
	link, ok := file.URL.Link()
	if !ok || !weblink.Web(link) {
		return File{}, "", ErrLink
	}
	mime := mediaType(file.Type)
	return File{
		URL:      link,
		Name:     fileName(file.Name),
		MIMEType: mime,
		Size:     int64(amount(file.Size, 1<<53)),
		Duration: time.Duration(amount(file.Duration, 1e9) * float64(time.Second)).Round(time.Millisecond),
	}, fileKind(typ, mime), nil
}

// Message returns the message that shows a file in Crisp: audio as such, all else, images included, as
// a file.
func (f File) Message() (typ string, content jsontext.Value) {
	f = f.Tidy()
	if strings.HasPrefix(f.MIMEType, "audio/") {
		c := map[string]any{"url": f.URL, "type": f.MIMEType}
		if s := int(f.Duration / time.Second); s > 0 {
			c["duration"] = s
		}
		return "audio", encode(c)
	}
	mime := f.MIMEType
	if mime == "" {
		mime = "application/octet-stream"
	}
	return "file", encode(map[string]any{"name": f.Name, "url": f.URL, "type": mime})
}

// Tidy returns the file with a name that can be shown and a type that can be one: those of its URL where it has none.
func (f File) Tidy() File {
	f.MIMEType = mediaType(Text(f.MIMEType))
	if f.Name = fileName(Text(f.Name)); f.Name == "" {
		if u, err := url.Parse(f.URL); err == nil {
			f.Name = fileName(Text(u.Path))
		}
	}
	if f.Name == "" {
		f.Name = "file"
	}
	if f.MIMEType == "" {
		f.MIMEType = typesByName[strings.ToLower(path.Ext(f.Name))]
	}
	return f
}

// typesByName are the types of the files that people send, by the ends of their names. The tables of package mime
// differ from machine to machine.
var typesByName = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp", ".heic": "image/heic",
	".avif": "image/avif", ".bmp": "image/bmp", ".svg": "image/svg+xml", ".tif": "image/tiff", ".tiff": "image/tiff",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
	".wav": "audio/wav", ".amr": "audio/amr", ".flac": "audio/flac",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".3gp": "video/3gpp", ".avi": "video/x-msvideo",
	".pdf": "application/pdf", ".txt": "text/plain", ".csv": "text/csv", ".zip": "application/zip", ".json": "application/json",
	".doc": "application/msword", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xls": "application/vnd.ms-excel", ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".ppt": "application/vnd.ms-powerpoint", ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

// encode makes JSON of strings and numbers.
func encode(v map[string]any) jsontext.Value {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return jsontext.Value("null")
	}
	return b
}

// fileKind returns what a file is. An SVG may hold script: it is no picture.
func fileKind(typ, mime string) string {
	kind, _, _ := strings.Cut(mime, "/")
	switch {
	case typ == "audio":
		return "audio"
	case mime == "image/svg+xml":
		return "file"
	case kind == "image", kind == "video", kind == "audio" && typ == "file":
		return kind
	case typ == "animation":
		return "image"
	}
	return "file"
}

// mediaType returns a MIME type without its parameters, in lower case; empty if it is none.
func mediaType(t Text) string {
	mime, _, _ := strings.Cut(strings.ToLower(string(t)), ";")
	mime = strings.TrimSpace(mime)
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("/.+-_", r)
	}
	if strings.Count(mime, "/") != 1 || strings.ContainsFunc(mime, odd) {
		return ""
	}
	return mime
}

// fileName returns a name without folders, control characters, or those that turn the direction of
// text, which make an .exe look like a .pdf.
func fileName(t Text) string {
	name := string(t)[strings.LastIndexAny(string(t), `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	name, _ = textsplit.Shorten(strings.TrimLeft(strings.TrimSpace(name), "."), maxFileName)
	return name
}

// maxFileName is the length of the longest file name that is shown, in UTF-16 units.
const maxFileName = 200

// amount returns a number that is not negative and at most limit; 0 for anything else.
func amount(v jsontext.Value, limit float64) float64 {
	n, err := strconv.ParseFloat(string(v), 64)
	if v.Kind() != '0' || err != nil || n < 0 || n > limit || math.IsNaN(n) {
		return 0
	}
	return n
}
