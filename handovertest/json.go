package handovertest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// encode returns v as JSON, byte for byte as JSON.stringify(JSON.parse(x)) writes it, since that
// is what Crisp's own client verifies the signature of a hook over. Members of an object that
// stand there twice stay, which JavaScript cannot do. The answer is nil if JSON cannot hold v.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // <, > and & stay as they are
	if err := e.Encode(v); err != nil {
		return nil
	}
	out := bytes.TrimRight(b.Bytes(), "\n")
	if bytes.Contains(out, []byte(`\u`)) {
		out = unescaped(out)
	}
	if hasIndexKey(out) {
		out = indexKeysFirst(out)
	}
	return out
}

// normal returns JSON as encode writes it, numbers included: 1.50 becomes 1.5, and what a double
// cannot hold is rounded. raw is valid JSON.
func normal(raw json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	return encode(v)
}

// unescaped returns JSON with the three characters as they are that Go escapes and JavaScript does
// not: U+2028, U+2029 and U+FFFD.
func unescaped(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		if i+6 <= len(raw) {
			switch string(raw[i : i+6]) {
			case `\u2028`, `\u2029`, `\ufffd`:
				r, _ := strconv.ParseUint(string(raw[i+2:i+6]), 16, 32)
				out = append(out, string(rune(r))...)
				i += 5
				continue
			}
		}
		out = append(out, raw[i], raw[i+1]) // what is escaped is no backslash of its own
		i++
	}
	return out
}

// isIndexKey says whether a member's name is an array index to JavaScript, which lists those
// first.
func isIndexKey(name string) bool {
	n, err := strconv.ParseUint(name, 10, 32)
	return err == nil && n < 1<<32-1 && strconv.FormatUint(n, 10) == name
}

// hasIndexKey says whether JSON may have a member whose name is an array index: whether "<digit>
// or <digit>": stands anywhere.
func hasIndexKey(raw []byte) bool {
	for i := 1; i+1 < len(raw); i++ {
		if raw[i] == '"' && raw[i+1] == ':' && '0' <= raw[i-1] && raw[i-1] <= '9' {
			return true
		}
	}
	return false
}

// indexKeysFirst returns JSON with the members that are array indexes before the others of their
// object, in the order of their numbers. The others keep their order.
func indexKeysFirst(raw []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	opening, err := d.Token()
	delimiter, nested := opening.(json.Delim)
	if err != nil || !nested {
		return raw
	}
	var elements []member
	for d.More() {
		var m member
		if delimiter == '{' {
			name, err := d.Token()
			if err != nil {
				return raw
			}
			m.name, _ = name.(string)
			m.index = isIndexKey(m.name)
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return raw
		}
		m.value = indexKeysFirst(value)
		elements = append(elements, m)
	}
	slices.SortStableFunc(elements, member.compare)
	out := []byte{byte(delimiter)}
	for i, m := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		if delimiter == '{' {
			out = append(append(out, encode(m.name)...), ':')
		}
		out = append(out, m.value...)
	}
	return append(out, byte(delimiter)+2) // } is two after {, ] two after [
}

// member is a member of an object, or an element of an array, which has no name.
type member struct {
	name  string
	index bool // the name is an array index
	value []byte
}

// compare orders members as JavaScript does.
func (m member) compare(other member) int {
	switch {
	case m.index && other.index:
		a, _ := strconv.ParseUint(m.name, 10, 32)
		b, _ := strconv.ParseUint(other.name, 10, 32)
		return int(a) - int(b)
	case m.index:
		return -1
	case other.index:
		return 1
	}
	return 0
}
