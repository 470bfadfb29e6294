package crisplog

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// entries are entries of a log. In records most are one text each, which is read and written faster than
// an object, and is a third of one: the time, the fingerprint, and a letter for the status; then, if there is any of them, the hash, the
// author, and the channel's id if there is one, with blanks between them. Numbers have the base 36, the hash is in base64. A message
// of ours has "~", our own time, and "±" how far off that may be, until Crisp shows its time. What has more than these is an object.
type entries []*Entry

// plain reports whether an entry can be written as a text.
func (e *Entry) plain() bool {
	return e != nil && e.Type == "" && len(e.Was) == 0 && e.Edited == 0 && (e.Sent == 0 && e.Within == 0 || e.At == 0) && len(e.ChannelID) <= 1 &&
		slices.Contains(statuses, e.Status)
}

// base is that of the numbers in entries.
const base = 36

// appendNumber is strconv.AppendInt for the base of entries, several times as fast: it divides by a constant.
func appendNumber(to []byte, n int64) []byte {
	if n < 0 {
		return strconv.AppendInt(to, n, base)
	}
	var digits [13]byte // of the largest number
	at := len(digits)
	for u := uint64(n); ; u /= base {
		at--
		digits[at] = "0123456789abcdefghijklmnopqrstuvwxyz"[u%base]
		if u < base {
			return append(to, digits[at:]...)
		}
	}
}

// appendText appends the text of an entry. ok is false if it is none that can be written as a text.
func (e *Entry) appendText(to []byte) (text []byte, ok bool) {
	if !e.plain() {
		return to, false
	}
	if e.Sent != 0 || e.Within != 0 {
		to = appendNumber(append(to, '~'), e.Sent)
		to = appendNumber(append(to, "±"...), e.Within)
	} else {
		to = appendNumber(to, e.At)
	}
	to = append(appendNumber(append(to, ' '), e.FP), ' ', letters[slices.Index(statuses, e.Status)])
	if e.Hash == "" && e.Author == 0 && len(e.ChannelID) == 0 {
		return to, true
	}
	if to, ok = appendHash(append(to, ' '), e.Hash); !ok {
		return to, false
	}
	to = appendNumber(append(to, ' '), int64(e.Author))
	for _, id := range e.ChannelID {
		to = append(append(to, ' '), id...)
	}
	return to, true
}

// hashSize is how many bytes the hash of a message's content stands for, see crispcontent.Hash.
const hashSize = 6

// appendHash appends a hash, of hexadecimal digits, in base64. ok is false if it is none.
func appendHash(to []byte, hash string) (_ []byte, ok bool) {
	if hash == "" {
		return to, true
	}
	var sum [hashSize]byte
	if len(hash) != hex.EncodedLen(hashSize) || hash != strings.ToLower(hash) {
		return to, false
	}
	if _, err := hex.Decode(sum[:], []byte(hash)); err != nil {
		return to, false
	}
	return base64.RawStdEncoding.AppendEncode(to, sum[:]), true
}

// parseHash is the reverse of appendHash.
func parseHash(text string) (hash string, err error) {
	sum, err := base64.RawStdEncoding.DecodeString(text)
	if err == nil && len(sum) != 0 && len(sum) != hashSize {
		err = errEntry
	}
	return hex.EncodeToString(sum), err
}

// parseEntry is the reverse of appendText.
func parseEntry(text string) (*Entry, error) {
	at, rest, _ := strings.Cut(text, " ")
	fp, rest, _ := strings.Cut(rest, " ")
	status, rest, more := strings.Cut(rest, " ")
	e := new(Entry)
	var errs [6]error
	if sent, ours := strings.CutPrefix(at, "~"); ours {
		sent, within, _ := strings.Cut(sent, "±")
		e.Sent, errs[0] = strconv.ParseInt(sent, base, 64)
		e.Within, errs[1] = strconv.ParseInt(within, base, 64)
	} else {
		e.At, errs[0] = strconv.ParseInt(at, base, 64)
	}
	e.FP, errs[2] = strconv.ParseInt(fp, base, 64)
	if more {
		hash, rest, _ := strings.Cut(rest, " ")
		author, id, named := strings.Cut(rest, " ")
		e.Hash, errs[3] = parseHash(hash)
		var n int64
		n, errs[4] = strconv.ParseInt(author, base, strconv.IntSize)
		e.Author = int(n)
		if named {
			e.ChannelID = []string{id}
		}
	}
	i := strings.Index(letters, status)
	if errs != [6]error{} || len(status) != 1 || i < 0 {
		return nil, errEntry
	}
	e.Status = statuses[i]
	return e, nil
}

var errEntry = errors.New("an entry of a log cannot be read")

// statuses are all statuses, and letters what they are in texts.
var statuses = []Status{Ours, Shown, Withheld, Failed, Removed}

const letters = "oswfr"

// MarshalJSONTo implements json.MarshalerTo.
func (all entries) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	var text []byte
	for _, e := range all {
		var err error
		var short bool
		if text, short = e.appendText(text[:0]); short {
			quoted, _ := jsontext.AppendQuote(enc.AvailableBuffer(), text) // what is no UTF-8 becomes U+FFFD
			err = enc.WriteValue(quoted)
		} else {
			err = json.MarshalEncode(enc, e)
		}
		if err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (all *entries) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch start, err := dec.ReadToken(); {
	case err != nil || start.Kind() == 'n':
		return err
	case start.Kind() != '[':
		return errors.New("the entries of a log are no list")
	}
	for dec.PeekKind() != ']' {
		var e *Entry
		if dec.PeekKind() != '"' {
			if err := json.UnmarshalDecode(dec, &e); err != nil {
				return err
			}
		} else if text, err := dec.ReadToken(); err != nil {
			return err
		} else if e, err = parseEntry(text.String()); err != nil {
			return err
		}
		*all = append(*all, e)
	}
	_, err := dec.ReadToken()
	return err
}
