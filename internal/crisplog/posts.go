package crisplog

import (
	"encoding/base64"
	"errors"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Post is a message of the user in Crisp, as it must be known to give it other words there.
type Post struct {
	Of          PostKey
	Fingerprint int64 // of its text; 0 if it has none, or has it in several messages
	// Marked is true if it is an edit that was posted as a message of its own, and begins with a mark.
	Marked bool
	Edited bool      // it was given other words in Crisp
	Files  FilesMark // of what came with it
}

// PostKey stands for the id that the channel gave to a message.
type PostKey [6]byte

// FilesMark tells the files of one message from others; zero for none.
type FilesMark [3]byte

// Posts are the newest messages of the user in a session. In records they are one text.
type Posts []Post

// maxPosts is how many are known: people edit what they wrote last.
const maxPosts = 32

// Put notes a message, in place of what was known of it.
func (all *Posts) Put(p Post) {
	*all = append(slices.DeleteFunc(*all, func(q Post) bool { return q.Of == p.Of }), p)
	*all = slices.Delete(*all, 0, max(0, len(*all)-maxPosts))
}

// Find returns what is known of a message.
func (all Posts) Find(key PostKey) (Post, bool) {
	if i := slices.IndexFunc(all, func(p Post) bool { return p.Of == key }); i >= 0 {
		return all[i], true
	}
	return Post{}, false
}

// Edited notes that a message was given other words.
func (all Posts) Edited(fp int64) {
	for i := range all {
		all[i].Edited = all[i].Edited || all[i].Fingerprint == fp
	}
}

// Has reports whether a message in Crisp is one of them.
func (all Posts) Has(fp int64) bool {
	return fp != 0 && slices.ContainsFunc(all, func(p Post) bool { return p.Fingerprint == fp })
}

// In a record a post is its key and its fingerprint; if that is marked, a byte of flags follows, and its files if it has some.
const flagMarked, flagEdited, flagFiles byte = 1, 2, 4

// MarshalJSONTo implements json.MarshalerTo.
func (all Posts) MarshalJSONTo(enc *jsontext.Encoder) error {
	packed := make([]byte, 0, 16*len(all))
	for _, p := range all {
		flags := byte(0)
		if p.Marked {
			flags |= flagMarked
		}
		if p.Edited {
			flags |= flagEdited
		}
		if p.Files != (FilesMark{}) {
			flags |= flagFiles
		}
		packed = appendFingerprint(append(packed, p.Of[:]...), p.Fingerprint, flags != 0)
		if flags != 0 {
			packed = append(packed, flags)
		}
		if flags&flagFiles != 0 {
			packed = append(packed, p.Files[:]...)
		}
	}
	return enc.WriteValue(append(base64.RawStdEncoding.AppendEncode(append(enc.AvailableBuffer(), '"'), packed), '"'))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (all *Posts) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := dec.ReadToken()
	if err != nil {
		return err
	}
	packed, err := base64.RawStdEncoding.DecodeString(text.String())
	if text.Kind() != '"' || err != nil {
		return errPosts
	}
	*all = nil
	for len(packed) > 0 {
		var p Post
		if p, packed, err = unpackPost(packed); err != nil {
			return err
		}
		*all = append(*all, p)
	}
	return nil
}

var errPosts = errors.New("the user's messages in Crisp cannot be read")

// unpackPost reads the first of packed posts, and returns the rest.
func unpackPost(packed []byte) (p Post, rest []byte, err error) {
	fp, rest, ok := cut(packed[copy(p.Of[:], packed):], packedFingerprint)
	if !ok {
		return p, nil, errPosts
	}
	var flagged bool
	if p.Fingerprint, flagged = fingerprintOf(fp); !flagged {
		return p, rest, nil
	}
	flags, rest, ok := cut(rest, 1)
	if !ok || flags[0] == 0 || flags[0] > flagMarked|flagEdited|flagFiles {
		return p, nil, errPosts
	}
	p.Marked, p.Edited = flags[0]&flagMarked != 0, flags[0]&flagEdited != 0
	if flags[0]&flagFiles != 0 {
		var files []byte
		if files, rest, ok = cut(rest, len(p.Files)); !ok || FilesMark(files) == (FilesMark{}) {
			return p, nil, errPosts
		}
		p.Files = FilesMark(files)
	}
	return p, rest, nil
}
