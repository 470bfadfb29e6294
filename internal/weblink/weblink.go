// Package weblink tells which links that strangers wrote may be shown to people, and which lead nowhere or give
// away a secret.
package weblink

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
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

// Public reports whether a link is one of Web that does not lead to an address of a local network.
func Public(link string) bool {
	u, err := url.Parse(link)
	return err == nil && Web(link) && !Local(u.Hostname())
}

// localNames are the ends of names that no public server has: RFC 6761, 6762 and 8375, and those that
// companies and home routers use.
var localNames = []string{"localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa"}

// localNets are the networks that the public internet does not reach, beside those that netip knows.
var localNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network
	netip.MustParsePrefix("100.64.0.0/10"), // shared address space, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, and broadcast
	netip.MustParsePrefix("fec0::/10"),     // former site-local addresses
}

// nat64 is the prefix behind which an IPv6 address holds one of IPv4 (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// Local reports whether a host is reached only from its own machine or network: an address of such a network,
// however it is written, a name without a dot, or one that ends as such names do.
func Local(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return LocalAddr(ip)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" || !strings.Contains(host, ".") || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return true // browsers read "127.1", "0x7f000001" and "2130706433" as addresses
	}
	for _, name := range localNames {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// LocalAddr reports whether an address is one that the public internet does not reach.
func LocalAddr(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return true
	}
	for _, p := range localNets {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// telegramFile is in the path of a file on Telegram's API, also on a server of the host's own.
var telegramFile = regexp.MustCompile(`/file/bot[^/]+:`)

// HoldsToken reports whether a URL holds the token of a Telegram bot, as those of its files do.
func HoldsToken(u *url.URL) bool { return telegramFile.MatchString(u.Path) }

// secretNames are the names of parameters that hold a secret, in lower case and without "-" and "_".
var secretNames = map[string]bool{
	"bearer": true, "jwt": true, "auth": true, "authorization": true, "passwd": true, "pwd": true, "session": true, "sessionid": true,
	"sid": true, "sig": true, "hmac": true, "awsaccesskeyid": true, "accesskeyid": true, "ossaccesskeyid": true, "xamzcredential": true, "xgoogcredential": true,
}

// secretEnds are what other such names end in: tokens and keys, and the signatures of links that open without a
// login for whoever has them, at AWS, Google, Azure, CloudFront and others.
var secretEnds = []string{"token", "signature", "secret", "password", "apikey", "accesskey", "authkey"}

// isSecret reports whether a parameter of this name holds a secret.
func isSecret(name string) bool {
	name = strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(name))
	return secretNames[name] || slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}

// slackToken begins the tokens of Slack, which its file links may hold under any name.
var slackToken = regexp.MustCompile(`^xox[a-z]-`)

// HoldsSecret reports whether a URL gives away a secret to whoever sees it: a user name or password, a bot's
// token, or a parameter that is named as one, in the query or the fragment.
func HoldsSecret(u *url.URL) bool {
	if u.User != nil || HoldsToken(u) {
		return true
	}
	for _, part := range []string{u.RawQuery, u.Fragment} {
		for pair := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == '&' || r == ';' || r == '?' }) {
			name, value, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
			if value != "" && isSecret(name) || slackToken.MatchString(value) {
				return true
			}
		}
	}
	return false
}
