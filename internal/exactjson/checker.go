package exactjson

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf8"
)

// checker goes over a JSON text once. It accepts what Read has nothing to change in but white space, as is nearly all
// that programs send, and refuses all else: what is not JSON, can be read in two ways, is nested too deep, is not
// UTF-8, or has a string that could be written shorter. It need not know which: Read asks a JSON library then.
//
// Its methods take where something begins, and return where it ends; below 0: it is refused.
type checker struct {
	json  []byte
	keeps bool               // the index keeps the members of objects that are closed
	space bool               // there is white space between values
	n     int                // members in the index
	index [maxMembers]member // of all objects: an object's members stand behind the member that it is the value of
}

// member is where a member stands in a text.
type member struct {
	name, nameEnd uint32 // with quotation marks
	value, end    uint32
	inside        int32 // how many members in the index follow that are inside of the value
}

const (
	// maxNames is how many names of an object are compared with each other one by one.
	maxNames = 64
	// maxMembers is how many members an index has at the most: a checker stands on the stack.
	maxMembers = 128
)

// refused is where what is not accepted ends.
const refused = -1

// check reports whether all of the text is accepted.
func (c *checker) check() bool {
	if len(c.json) > math.MaxInt32 {
		return false
	}
	end := c.value(c.skip(0), 0)
	return end >= 0 && c.skip(end) == len(c.json)
}

// is reports whether this byte stands there.
func (c *checker) is(b byte, at int) bool { return at < len(c.json) && c.json[at] == b }

// skip goes over white space.
func (c *checker) skip(at int) int {
	if at < len(c.json) && c.json[at] <= ' ' {
		return c.skipSpace(at)
	}
	return at
}

func (c *checker) skipSpace(at int) int {
	for ; at < len(c.json) && isSpace(c.json[at]); at++ {
		c.space = true
	}
	return at
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

// value goes over a value inside of that many others.
func (c *checker) value(at, depth int) int {
	if at >= len(c.json) {
		return refused
	}
	switch b := c.json[at]; {
	case b == '"':
		return text(c.json, at)
	case b == '{' && depth < MaxNesting:
		return c.object(at, depth+1)
	case b == '[' && depth < MaxNesting:
		return c.array(at, depth+1)
	case b == 't':
		return c.word(at, "true")
	case b == 'f':
		return c.word(at, "false")
	case b == 'n':
		return c.word(at, "null")
	}
	return number(c.json, at)
}

// object goes over an object.
func (c *checker) object(at, depth int) int {
	if at = c.skip(at + 1); c.is('}', at) {
		return at + 1
	}
	for all := (names{first: c.n}); ; at = c.skip(at + 1) {
		i := c.n
		end := c.name(at, &all)
		if end < 0 {
			return refused
		}
		colon := c.skip(end)
		if !c.is(':', colon) {
			return refused
		}
		value := c.skip(colon + 1)
		if at = c.value(value, depth); at < 0 {
			return refused
		}
		m := &c.index[i]
		m.value, m.end, m.inside = uint32(value), uint32(at), int32(c.n-1-i)
		if at = c.skip(at); c.is('}', at) {
			if !c.keeps {
				c.n = all.first
			}
			return at + 1
		} else if !c.is(',', at) {
			return refused
		}
	}
}

// names are those of one object.
type names struct {
	first int    // in the index
	n     int    // how many
	bits  uint64 // one for each, by its length and its ends, so that most need not be compared
}

// name goes over the name of a member, and puts it into the index.
func (c *checker) name(at int, all *names) (end int) {
	if all.n == maxNames || c.n == maxMembers || !c.is('"', at) {
		return refused
	}
	if end = text(c.json, at); end < 0 {
		return refused
	}
	name := c.json[at:end]
	bit := uint64(1) << ((uint(len(name))*7 + uint(name[1])*5 + uint(name[len(name)-2])) % 64)
	if all.bits&bit != 0 {
		for i := all.first; i < c.n; i += 1 + int(c.index[i].inside) {
			if m := &c.index[i]; bytes.Equal(c.json[m.name:m.nameEnd], name) {
				return refused
			}
		}
	}
	all.bits |= bit
	all.n++
	c.index[c.n] = member{name: uint32(at), nameEnd: uint32(end)}
	c.n++
	return end
}

// array goes over an array.
func (c *checker) array(at, depth int) int {
	if at = c.skip(at + 1); c.is(']', at) {
		return at + 1
	}
	for ; ; at = c.skip(at + 1) {
		if at = c.value(at, depth); at < 0 {
			return refused
		}
		if at = c.skip(at); c.is(']', at) {
			return at + 1
		} else if !c.is(',', at) {
			return refused
		}
	}
}

// word goes over true, false or null.
func (c *checker) word(at int, w string) int {
	if end := at + len(w); end <= len(c.json) && string(c.json[at:end]) == w {
		return end
	}
	return refused
}

// text goes over a string that stands there as short as can be.
func text(json []byte, at int) int {
	for at++; ; {
		at += asciiRun(json[at:])
		if at >= len(json) {
			return refused
		}
		switch b := json[at]; {
		case b == '"':
			return at + 1
		case b == '\\':
			if at+1 == len(json) || bytes.IndexByte(shortEscapes, json[at+1]) < 0 {
				return refused
			}
			at += 2
		case b < utf8.RuneSelf: // a control character
			return refused
		default:
			r, n := utf8.DecodeRune(json[at:])
			if r == utf8.RuneError && n == 1 {
				return refused
			}
			at += n
		}
	}
}

// shortEscapes may follow a backslash: there is no shorter way to write these characters.
var shortEscapes = []byte(`"\bfnrt`)

// asciiRun returns how many bytes b begins with that stand in a string for themselves, each for one character.
func asciiRun(b []byte) (n int) {
	const ones = 0x0101010101010101
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		// The lowest bit is that of the first byte that is none: above 0x7f, below a space, a quotation mark, a backslash.
		odd := (w | (w - ones*' ') | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)) & (ones << 7)
		if odd != 0 {
			return n + bits.TrailingZeros64(odd)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return n
}

// number goes over a number.
func number(json []byte, at int) int {
	next := func() byte {
		if at < len(json) {
			return json[at]
		}
		return 0
	}
	digits := func() bool {
		from := at
		for at < len(json) && '0' <= json[at] && json[at] <= '9' {
			at++
		}
		return at > from
	}
	if next() == '-' {
		at++
	}
	if next() == '0' {
		at++
	} else if !digits() {
		return refused
	}
	if next() == '.' {
		if at++; !digits() {
			return refused
		}
	}
	if next()|0x20 == 'e' {
		if at++; next() == '+' || next() == '-' {
			at++
		}
		if !digits() {
			return refused
		}
	}
	return at
}
