package crisplog

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// entries are entries of a log. In records most are one text each, which is read and written faster than
// an object: the time, the fingerprint, the status, the hash, the author, and the channel's id if there is
// one, with blanks between them. A message of ours has "~", our own time, and "±" how far off that may be, until Crisp
// shows its time. What has more than these is an object.
type entries []*Entry

// plain reports whether an entry can be written as a text.
func (e *Entry) plain() bool {
	return e != nil && e.Type == "" && len(e.Was) == 0 && e.Edited == 0 && (e.Sent == 0 && e.Within == 0 || e.At == 0) && len(e.ChannelID) <= 1 &&
		!strings.Contains(e.Hash, " ") && slices.Contains(statuses, e.Status)
}

// appendText appends the text of a plain entry.
func (e *Entry) appendText(to []byte) []byte {
	if e.Sent != 0 || e.Within != 0 {
		to = strconv.AppendInt(append(to, '~'), e.Sent, 10)
		to = strconv.AppendInt(append(to, "±"...), e.Within, 10)
	} else {
		to = strconv.AppendInt(to, e.At, 10)
	}
	to = append(strconv.AppendInt(append(to, ' '), e.FP, 10), ' ')
	to = append(append(to, e.Status...), ' ')
	to = append(append(to, e.Hash...), ' ')
	to = strconv.AppendInt(to, int64(e.Author), 10)
	for _, id := range e.ChannelID {
		to = append(append(to, ' '), id...)
	}
	return to
}

// parseEntry is the reverse of appendText.
func parseEntry(text string) (*Entry, error) {
	at, rest, _ := strings.Cut(text, " ")
	fp, rest, _ := strings.Cut(rest, " ")
	status, rest, _ := strings.Cut(rest, " ")
	hash, rest, _ := strings.Cut(rest, " ")
	author, id, named := strings.Cut(rest, " ")
	e := &Entry{Hash: hash}
	var errs [4]error
	if sent, ours := strings.CutPrefix(at, "~"); ours {
		sent, within, _ := strings.Cut(sent, "±")
		e.Sent, errs[0] = strconv.ParseInt(sent, 10, 64)
		e.Within, errs[3] = strconv.ParseInt(within, 10, 64)
	} else {
		e.At, errs[0] = strconv.ParseInt(at, 10, 64)
	}
	e.FP, errs[1] = strconv.ParseInt(fp, 10, 64)
	e.Author, errs[2] = strconv.Atoi(author)
	i := slices.Index(statuses, Status(status))
	if errs != [4]error{} || i < 0 {
		return nil, errEntry
	}
	e.Status = statuses[i]
	if named {
		e.ChannelID = []string{id}
	}
	return e, nil
}

var errEntry = errors.New("an entry of a log cannot be read")

// statuses are all statuses.
var statuses = []Status{Ours, Shown, Withheld, Failed, Removed}

// MarshalJSONTo implements json.MarshalerTo.
func (all entries) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	var text []byte
	for _, e := range all {
		var err error
		if e.plain() {
			text = e.appendText(text[:0])
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
