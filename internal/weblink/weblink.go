// Package weblink tells which links that strangers wrote may be shown to people.
package weblink

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// maxLink is the length of the longest link that is shown, in bytes.
const maxLink = 8 << 10

// Safe reports whether a link may be shown as one: http or https with a host and no user name,
// mailto, or tel; no space, control or direction character, backslash, quote or angle bracket; of
// 8 KiB at the most.
func Safe(link string) bool {
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.C, r) || strings.ContainsRune("\\\"<>`\uFFFD", r)
	}
	if len(link) > maxLink || strings.ContainsFunc(link, odd) {
		return false
	}
	u, err := url.Parse(link)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Hostname() != "" && u.User == nil
	case "mailto", "tel":
		return u.Opaque != ""
	}
	return false
}

// Web reports whether a link is safe, and leads to something that can be fetched and shown.
func Web(link string) bool {
	return Safe(link) && len(link) > 4 && strings.EqualFold(link[:4], "http")
}

// telegramFile is in the path of a file on Telegram's API, also on a server of the host's own.
var telegramFile = regexp.MustCompile(`/file/bot[^/]+:`)

// HoldsToken reports whether a URL holds the token of a Telegram bot, as those of its files do.
func HoldsToken(u *url.URL) bool { return telegramFile.MatchString(u.Path) }
