package crisplog

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// knownMessages are messages of a log of which no more is kept than what it takes to know them again,
// the newest last. In records they are one text: of each its fingerprint, and its content's hash if it has one.
type knownMessages []knownMessage

// knownMessage is a fingerprint, and the beginning of the content's hash if the message was shown.
type knownMessage struct {
	fp   int64
	hash contentMark
}

// contentMark is the beginning of a content's hash; zero where the content does not matter.
type contentMark [3]byte

func contentMarkOf(hash string) (mark contentMark) {
	if b, err := hex.DecodeString(hash); err == nil {
		copy(mark[:], b)
	}
	return mark
}

// maxKnown is how many such messages are known: more than a page of Crisp's log shows.
const maxKnown = 48

func (all knownMessages) find(fp int64) (knownMessage, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].fp == fp {
			return all[i], true
		}
	}
	return knownMessage{}, false
}

func (all knownMessages) has(fp int64) bool {
	_, ok := all.find(fp)
	return ok
}

// add makes a message the newest of those known.
func (all *knownMessages) add(m knownMessage) {
	all.remove(m.fp)
	*all = append(*all, m)
}

func (all *knownMessages) remove(fp int64) {
	*all = slices.DeleteFunc(*all, func(m knownMessage) bool { return m.fp == fp })
}

func (all *knownMessages) trim() {
	*all = slices.Delete(*all, 0, max(0, len(*all)-maxKnown))
}

// MarshalJSONTo implements json.MarshalerTo.
func (all knownMessages) MarshalJSONTo(enc *jsontext.Encoder) error {
	packed := make([]byte, 0, 10*len(all))
	for _, m := range all {
		shown := m.hash != contentMark{}
		packed = appendFingerprint(packed, m.fp, shown)
		if shown {
			packed = append(packed, m.hash[:]...)
		}
	}
	return enc.WriteValue(append(base64.RawStdEncoding.AppendEncode(append(enc.AvailableBuffer(), '"'), packed), '"'))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (all *knownMessages) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := dec.ReadToken()
	if err != nil {
		return err
	}
	packed, err := base64.RawStdEncoding.DecodeString(text.String())
	if text.Kind() != '"' || err != nil {
		return errKnown
	}
	*all = nil
	for len(packed) > 0 {
		fp, rest, ok := cut(packed, packedFingerprint)
		if !ok {
			return errKnown
		}
		var m knownMessage
		var shown bool
		if m.fp, shown = fingerprintOf(fp); shown {
			var hash []byte
			if hash, rest, ok = cut(rest, len(m.hash)); !ok || contentMark(hash) == (contentMark{}) {
				return errKnown
			}
			m.hash = contentMark(hash)
		}
		*all, packed = append(*all, m), rest
	}
	return nil
}

var errKnown = errors.New("known messages cannot be read")

// packedFingerprint is how many bytes a fingerprint takes in a record, with one bit beside it. Fingerprints have up to
// 54 bits, and may be negative.
const packedFingerprint = 7

func appendFingerprint(packed []byte, fp int64, mark bool) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(fp))
	b[1] &= 0x7f
	if mark {
		b[1] |= 0x80
	}
	return append(packed, b[1:]...)
}

// fingerprintOf is the reverse of appendFingerprint.
func fingerprintOf(packed []byte) (fp int64, mark bool) {
	var b [8]byte
	copy(b[1:], packed)
	return int64(binary.BigEndian.Uint64(b[:])<<9) >> 9, b[1]&0x80 != 0
}

// cut takes n bytes from the beginning.
func cut(packed []byte, n int) (taken, rest []byte, ok bool) {
	if len(packed) < n {
		return nil, nil, false
	}
	return packed[:n], packed[n:], true
}
