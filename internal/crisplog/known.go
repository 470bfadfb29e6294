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
// the newest last. In records they are one text, of ten bytes for each.
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
		var fp [8]byte
		binary.BigEndian.PutUint64(fp[:], uint64(m.fp))
		packed = append(append(packed, fp[1:]...), m.hash[:]...)
	}
	return enc.WriteToken(jsontext.String(base64.RawStdEncoding.EncodeToString(packed)))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (all *knownMessages) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := dec.ReadToken()
	if err != nil {
		return err
	}
	packed, err := base64.RawStdEncoding.DecodeString(text.String())
	if text.Kind() != '"' || err != nil || len(packed)%10 != 0 {
		return errors.New("known messages cannot be read")
	}
	*all = make(knownMessages, 0, len(packed)/10)
	for ; len(packed) > 0; packed = packed[10:] {
		var fp [8]byte
		copy(fp[1:], packed)
		// Fingerprints have up to 54 bits, and may be negative.
		*all = append(*all, knownMessage{int64(binary.BigEndian.Uint64(fp[:])<<8) >> 8, contentMark(packed[7:10])})
	}
	return nil
}
