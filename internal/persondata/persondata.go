// Package persondata takes what a program knows of a person, as it comes, and gives it the form in which
// other programs and readers take it: plain values, keys of plain letters, email addresses and telephone
// numbers that can be used. A value is never invented, and none is lost.
package persondata

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
	"github.com/crisphandover/handover/internal/worker"
)

// Person is what is known of a person. In JSON it is a flat object: first_name, last_name, nickname (or
// name), email, phone_number (or phone) and avatar have fields, every other member is in Data.
type Person struct {
	FirstName string
	LastName  string
	Nickname  string
	Email     string
	Phone     string
	Avatar    string
	Data      map[string]any
}

var errObject = errors.New("user data must be one JSON object, with each name once")

// Read reads a person's JSON. A field of another type than string is taken as its text. The error for
// anything but an object, or for a name that comes twice, quotes nothing.
func Read(data []byte) (Person, error) {
	var members map[string]jsontext.Value
	if json.Unmarshal(data, &members, jsontext.AllowInvalidUTF8(true)) != nil {
		return Person{}, errObject
	}
	values := make(map[string]any, len(members))
	for name, v := range members {
		values[name] = plainJSON(v)
	}
	return Person{Data: values}.Normal(), nil
}

// JSON writes the object that Read reads.
func (p Person) JSON() ([]byte, error) {
	p = p.Normal()
	members := maps.Clone(p.Data)
	if members == nil {
		members = map[string]any{}
	}
	for _, f := range p.fields() {
		if *f.value != "" {
			members[f.keys[0]] = *f.value
		}
	}
	return json.Marshal(members, json.Deterministic(true))
}

// Check refuses what is beyond the limits. Its errors name the limit, and quote nothing.
func (p Person) Check() error {
	if len(p.Data) > maxUserMembers {
		return fmt.Errorf("it has %d members, more than %d: leave out what agents do not need", len(p.Data), maxUserMembers)
	}
	size := 0
	for _, f := range p.fields() {
		size += len(*f.value)
	}
	for name, value := range p.Data {
		text, nested := value.(string)
		if nested = !nested; nested {
			text = valueText(plainValue(value))
		}
		if _, deep := exactjson.Prune([]byte(text), maxUserNesting); nested && deep {
			return fmt.Errorf("a value is nested more than %d deep: give agents what they need of it, as text", maxUserNesting)
		}
		if size += len(name) + len(text); size > maxUserBytes {
			break
		}
	}
	if size > maxUserBytes {
		return fmt.Errorf("its names and values have more than %d bytes: leave out what agents do not need", maxUserBytes)
	}
	return nil
}

// The limits of what is taken: all of it is stored, and read by people.
const (
	maxUserMembers = 1000
	maxUserBytes   = 256 << 10
	maxUserNesting = 20
)

func (p *Person) fields() []field {
	return []field{
		{[]string{"first_name"}, &p.FirstName},
		{[]string{"last_name"}, &p.LastName},
		{[]string{"nickname", "name"}, &p.Nickname},
		{[]string{"email"}, &p.Email},
		{[]string{"phone_number", "phone"}, &p.Phone},
		{[]string{"avatar"}, &p.Avatar},
	}
}

// field is one of the named fields, with the members that it is read from. It is written as the
// first of them.
type field struct {
	keys  []string
	value *string
}

// Normal returns the same with plain values, and with what belongs into a field moved
// there from Data. If the field is taken, Data keeps it, under a name that no field is read from.
func (p Person) Normal() Person {
	data := newKeyed(len(p.Data))
	for _, key := range slices.Sorted(maps.Keys(p.Data)) {
		data.add(strings.ToValidUTF8(key, "\uFFFD"), p.Data[key])
	}
	for _, f := range p.fields() {
		*f.value = strings.ToValidUTF8(*f.value, "\uFFFD")
		for i, key := range f.keys {
			value, ok := data.values[key]
			switch {
			case !ok || *f.value != "" && i > 0:
				continue
			case *f.value == "" && value != nil:
				*f.value = valueText(plainValue(value))
			case value != nil:
				data.add(key, value)
			}
			delete(data.values, key)
		}
	}
	p.Data = nil
	for key, value := range data.values {
		data.values[key] = plainValue(value)
		p.Data = data.values
	}
	return p
}

// keyed is a map that loses nothing when a key comes twice.
type keyed struct {
	values map[string]any
	last   map[string]int // the number that the latest twin of a key got
}

func newKeyed(size int) keyed { return keyed{make(map[string]any, size), map[string]int{}} }

// add puts value under key, or under key_2, key_3 … if that is taken.
func (k keyed) add(key string, value any) {
	free, n := key, max(k.last[key], 1)
	for ; ; n++ {
		if n > 1 {
			free = key + "_" + strconv.Itoa(n)
		}
		if _, taken := k.values[free]; !taken {
			break
		}
	}
	k.values[free], k.last[key] = value, n
}

// plainValue returns a string, boolean or float64 for any value.
func plainValue(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ToValidUTF8(v, "\uFFFD")
	case bool:
		return v
	case stdjson.Number: // a string to this JSON package
		if number := jsontext.Value(v); number.IsValid() {
			return plainJSON(number)
		}
	}
	text, err := marshal(v)
	if err == nil {
		if plain := plainJSON(text); plain != nil {
			return plain
		}
		return "null"
	}
	// NaN, a duration, a channel, a map with one of them in it: what JSON cannot hold is named at
	// least. Only scalars are printed: fmt would follow a cycle for ever.
	if k := reflect.ValueOf(v).Kind(); k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("(%T)", v)
}

// marshal writes a value as JSON. A panic of the value's own methods is an error.
func marshal(v any) (text []byte, err error) {
	err = errors.New("the value's methods panicked")
	worker.Guard(nil, func() { text, err = json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true)) })
	return text, err
}

// plainJSON returns a string, boolean or float64 for a JSON value, and nil for null.
func plainJSON(v jsontext.Value) any {
	switch v.Kind() {
	case 'n':
		return nil
	case 't', 'f':
		return v.Kind() == 't'
	case '0':
		return plainNumber(string(v))
	case '"':
		var s string
		if json.Unmarshal(v, &s, jsontext.AllowInvalidUTF8(true)) == nil {
			return s
		}
	}
	v = v.Clone()
	_ = v.Compact(jsontext.AllowInvalidUTF8(true)) // what is not JSON stays as it is
	return strings.ToValidUTF8(string(v), "\uFFFD")
}

// plainNumber returns a JSON number as float64, or as it is spelled if float64 would change it.
func plainNumber(literal string) any {
	n, err := strconv.ParseFloat(literal, 64)
	digits := strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(literal), "0")
	if err != nil || len(digits) > 15 && valueText(n) != literal {
		return literal
	}
	return n
}

// valueText returns a plain value as text.
func valueText(v any) string {
	if n, ok := v.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// The limits of what goes into Crisp's metas. Crisp documents none.
const (
	maxNickname  = 200 // UTF-16 units
	maxDataKey   = 64  // bytes
	maxDataValue = 2000
)

// Metas is a person as Crisp's conversation metas take it.
type Metas struct {
	Nickname, Email, Phone, Avatar string
	// Data has keys of a-z, 0-9, _ and -, and values of type string, bool or float64.
	Data map[string]any
}

// Metas cleans the fields and moves what Crisp would not take into data. A value that is too long says
// how long it was. Keys that begin with reserved are the caller's own: a person's get "user_" before it.
func (p Person) Metas(reserved string) Metas {
	p = p.Normal()
	data := newKeyed(0)
	maps.Copy(data.values, p.Data)
	var m Metas
	other := func(key, value string) {
		if !textsplit.Blank(value) {
			data.add(key, value)
		}
	}
	name, nickname := textsplit.OneLine(p.FirstName+" "+p.LastName), textsplit.OneLine(p.Nickname)
	if name == "" {
		name, nickname = nickname, ""
	}
	other("nickname", nickname)
	var ok bool
	if m.Nickname, ok = textsplit.Shorten(name, maxNickname); !ok {
		other("name", name)
	}
	if m.Email, ok = Email(p.Email); !ok {
		other("email", strings.TrimSpace(p.Email))
	}
	if m.Phone, ok = Phone(p.Phone); !ok {
		other("phone", strings.TrimSpace(p.Phone))
	}
	if m.Avatar = strings.TrimSpace(p.Avatar); !weblink.Web(m.Avatar) {
		other("avatar", m.Avatar)
		m.Avatar = ""
	}
	m.Data = crispData(data.values, reserved)
	return m
}

// crispData gives keys and values the form that Crisp takes. A key that is in that form keeps it,
// whatever others become. A value whose key lost letters begins with the whole key.
func crispData(data map[string]any, reserved string) map[string]any {
	out := newKeyed(len(data))
	names := slices.Sorted(maps.Keys(data))
	for _, plain := range []bool{true, false} {
		for _, name := range names {
			key, whole := plainKey(name)
			if strings.HasPrefix(key, reserved) {
				key, _ = plainKey("user_" + name)
			}
			if (key == name) != plain {
				continue
			}
			value := data[name]
			if !whole {
				value = name + ": " + valueText(value)
			}
			if s, ok := value.(string); ok {
				value = cutValue(s)
			}
			out.add(key, value)
		}
	}
	return out.values
}

// plainKey returns a key in lower case, with "_" for each run of other characters than a-z, 0-9, _
// and -, and whether it can still be read: no letter was lost.
func plainKey(name string) (key string, whole bool) {
	var b strings.Builder
	letters := 0
	whole = true
	for _, r := range strings.ToLower(name) {
		switch {
		case b.Len() >= maxDataKey:
			whole = false
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			letters++
			b.WriteRune(r)
		case r == '_' || r == '-':
			b.WriteRune(r)
		default:
			whole = whole && r < utf8.RuneSelf
			if !strings.HasSuffix(b.String(), "_") {
				b.WriteByte('_')
			}
		}
	}
	if letters == 0 {
		return "data", false
	}
	return b.String(), whole
}

// cutValue returns a value within the limit; a cut one says so.
func cutValue(s string) string {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if textsplit.Units(s) <= maxDataValue {
		return s
	}
	note := fmt.Sprintf(" [cut, %d characters in all]", utf8.RuneCountInString(s))
	short, _ := textsplit.Shorten(s, maxDataValue-len(note))
	return short + note
}

// Email returns an email address without the white space or "mailto:" around it, and whether
// it is one that mail can be sent to: user@host.tld, without a display name, comment or quotes.
func Email(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) >= 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	address, err := mail.ParseAddress(s)
	if err != nil || address.Address != s || address.Name != "" || len(s) > 254 {
		return "", false
	}
	odd := func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.C, r) || r == utf8.RuneError }
	local, domain, _ := strings.Cut(s, "@")
	if strings.ContainsFunc(s, odd) || len(local) > 64 || strings.Contains(domain, "@") {
		return "", false
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		odd := func(r rune) bool { return r < utf8.RuneSelf && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, odd) {
			return "", false
		}
	}
	top := labels[len(labels)-1]
	if len(labels) < 2 || len(top) < 2 || !strings.ContainsFunc(top, unicode.IsLetter) {
		return "", false
	}
	return s, true
}

// FindEmail returns the one email address in a text, as people write them: in a sentence, in brackets, behind a
// label, with a full stop behind it. It is false for none, or for more than one.
func FindEmail(text string) (found string, ok bool) {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '＠': // of a Chinese or Japanese keyboard
			return '@'
		case unicode.Is(unicode.Cf, r): // not to be seen, such as a mark of direction
			return -1
		}
		return r
	}, text)
	// Words of scripts without spaces stand close to an address. Where that leaves none, they are part of one.
	all := emails(strings.FieldsFunc(text, func(r rune) bool { return apart(r) || unicode.In(r, unspaced...) }))
	if len(all) == 0 {
		all = emails(strings.FieldsFunc(text, apart))
	}
	if len(all) != 1 {
		return "", false
	}
	return all[0], true
}

// unspaced are scripts that have no spaces between words, or put endings on a foreign word, as Korean does.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

// apart reports whether a rune stands between an address and other words.
func apart(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`,;:<>()[]{}"|`, r) ||
		r >= utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r))
}

// label is what stands before an address in a form or a link. Other words before a "=" may be part of the address.
var label = regexp.MustCompile(`(?i)(?:^|[?&/])(?:e[-_]?mail(?:[-_]?address)?|mail|mailto)=`)

// emails returns the addresses that are among words, each once.
func emails(words []string) (all []string) {
	around := func(r rune) bool {
		return unicode.IsPunct(r) && r != '@' || unicode.IsSymbol(r) || unicode.In(r, unicode.C, unicode.No)
	}
	for _, word := range words {
		if labels := label.FindAllStringIndex(word, -1); labels != nil {
			word = word[labels[len(labels)-1][1]:]
		}
		address, ok := Email(strings.TrimFunc(word, around))
		if ok && !slices.ContainsFunc(all, func(a string) bool { return strings.EqualFold(a, address) }) {
			all = append(all, address)
		}
	}
	return all
}

// Phone returns the digits of a telephone number, with its leading + if it has one, and
// whether it can be one: 5 to 15 digits, with nothing but the usual signs between them. A trunk
// zero in brackets, as in +44 (0)20, makes it unclear what to dial.
func Phone(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) >= 4 && strings.EqualFold(s[:4], "tel:") {
		s = s[4:]
	}
	rest, plus := strings.CutPrefix(s, "+")
	if plus && strings.Contains(rest, "(0)") {
		return "", false
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \u00a0.-/()", r) {
			return -1
		}
		return r
	}, rest)
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	if len(digits) < 5 || len(digits) > 15 || strings.ContainsFunc(digits, notDigit) {
		return "", false
	}
	return s[:len(s)-len(rest)] + digits, true
}
