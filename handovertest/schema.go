package handovertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// complaint is what a check has against a value; nil: nothing.
type complaint struct {
	message string // as Crisp words it, in data.message
	// tolerable complaints are about a value that users type, such as an email. A sane client may
	// earn them; the others are violations.
	tolerable bool
}

// check judges the value at a path such as ".content.url".
type check func(path string, raw json.RawMessage) *complaint

// object is the shape of a JSON object. Names that end in "!" are required; names that are not
// listed are refused.
type object map[string]check

func complain(path, format string, args ...any) *complaint {
	return &complaint{message: "data" + path + " " + fmt.Sprintf(format, args...)}
}

// check judges an object. Names are compared exactly, as JSON does.
func (o object) check(path string, raw json.RawMessage) *complaint {
	_, c := o.read(path, raw)
	return c
}

// read is check, and returns the members.
func (o object) read(path string, raw json.RawMessage) (map[string]json.RawMessage, *complaint) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, complain(path, "should be object")
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if bare, required := strings.CutSuffix(name, "!"); required && members[bare] == nil {
			return nil, &complaint{message: fmt.Sprintf("data%s should have required property '.%s'", path, bare)}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		judge := o[name]
		if judge == nil {
			judge = o[name+"!"]
		}
		if judge == nil {
			return nil, complain(path, "should NOT have additional properties (%q)", name)
		}
		if c := judge(path+"."+name, members[name]); c != nil {
			return nil, c
		}
	}
	return members, nil
}

// text judges a string that is not empty.
func text(path string, raw json.RawMessage) *complaint {
	s, ok := asString(raw)
	if !ok {
		return complain(path, "should be string")
	}
	if s == "" {
		return complain(path, "should NOT be shorter than 1 characters")
	}
	return nil
}

// anyText judges a string, which may be empty.
func anyText(path string, raw json.RawMessage) *complaint {
	if _, ok := asString(raw); !ok {
		return complain(path, "should be string")
	}
	return nil
}

// upTo judges a string that is not empty and has at most limit UTF-16 units; -1: any number.
func upTo(limit int) check {
	return func(path string, raw json.RawMessage) *complaint {
		if c := text(path, raw); c != nil {
			return c
		}
		s, _ := asString(raw)
		if limit >= 0 && len(utf16.Encode([]rune(s))) > limit {
			return complain(path, "should NOT be longer than %d characters", limit)
		}
		return nil
	}
}

// oneOf judges a string that is one of values.
func oneOf(values ...string) check {
	return func(path string, raw json.RawMessage) *complaint {
		if s, ok := asString(raw); !ok || !slices.Contains(values, s) {
			return complain(path, "should be equal to one of the allowed values %q", values)
		}
		return nil
	}
}

// boolean judges true and false.
func boolean(path string, raw json.RawMessage) *complaint {
	if s := string(raw); s != "true" && s != "false" {
		return complain(path, "should be boolean")
	}
	return nil
}

// integer judges a whole number from 0 to 2^53, written without fraction or exponent.
func integer(path string, raw json.RawMessage) *complaint {
	var n uint64
	if err := json.Unmarshal(raw, &n); err != nil || n > 1<<53 || string(raw) == "null" {
		return complain(path, "should be integer")
	}
	return nil
}

// signed judges a whole number of either sign, as the fingerprints of triggers are.
func signed(path string, raw json.RawMessage) *complaint {
	var n int64
	if err := json.Unmarshal(raw, &n); err != nil || string(raw) == "null" {
		return complain(path, "should be integer")
	}
	return nil
}

// number judges any number.
func number(path string, raw json.RawMessage) *complaint {
	var f float64
	if err := json.Unmarshal(raw, &f); err != nil || string(raw) == "null" {
		return complain(path, "should be number")
	}
	return nil
}

// scalar judges a string, a boolean or a number.
func scalar(path string, raw json.RawMessage) *complaint {
	if anyText(path, raw) != nil && boolean(path, raw) != nil && number(path, raw) != nil {
		return complain(path, "should be string, boolean or number")
	}
	return nil
}

// list judges an array by its elements.
func list(each check) check {
	return func(path string, raw json.RawMessage) *complaint {
		var all []json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil || all == nil {
			return complain(path, "should be array")
		}
		for i, element := range all {
			if c := each(fmt.Sprintf("%s[%d]", path, i), element); c != nil {
				return c
			}
		}
		return nil
	}
}

// orNil lets null pass, besides what judge lets pass.
func orNil(judge check) check {
	return func(path string, raw json.RawMessage) *complaint {
		if string(bytes.TrimSpace(raw)) == "null" {
			return nil
		}
		return judge(path, raw)
	}
}

// webURL judges an absolute http or https URL.
func webURL(path string, raw json.RawMessage) *complaint {
	s, ok := asString(raw)
	u, err := url.Parse(s)
	if !ok || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return complain(path, `should match format "url"`)
	}
	return nil
}

var (
	dataKeys     = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	phoneNumbers = regexp.MustCompile(`^\+?[0-9][0-9 ().-]{1,30}[0-9]$`)
	uuids        = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// email judges an address without a name.
func email(path string, raw json.RawMessage) *complaint {
	s, ok := asString(raw)
	if a, err := mail.ParseAddress(s); !ok || err != nil || a.Address != s ||
		!strings.Contains(s[strings.LastIndexByte(s, '@'):], ".") {
		return &complaint{message: "data" + path + ` should match format "email"`, tolerable: ok}
	}
	return nil
}

// phone judges a telephone number.
func phone(path string, raw json.RawMessage) *complaint {
	if s, ok := asString(raw); !ok || !phoneNumbers.MatchString(s) {
		return &complaint{message: "data" + path + ` should match format "phone"`, tolerable: ok}
	}
	return nil
}

// uuidText judges an id such as those of websites, inboxes and operators.
func uuidText(path string, raw json.RawMessage) *complaint {
	if s, ok := asString(raw); !ok || !uuids.MatchString(s) {
		return complain(path, `should match format "uuid"`)
	}
	return nil
}

// dataMap judges the data of metas: scalars by names of letters, digits, "-" and "_".
func dataMap(path string, raw json.RawMessage) *complaint {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return complain(path, "should be object")
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !dataKeys.MatchString(key) {
			return complain(path, "has an invalid key")
		}
		if c := scalar(path+"."+key, all[key]); c != nil {
			return c
		}
	}
	return nil
}

// anyObject judges an object, whatever is in it.
func anyObject(path string, raw json.RawMessage) *complaint {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return complain(path, "should be object")
	}
	return nil
}

func asString(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

var metaShape = object{
	"nickname": text, "email": email, "phone": phone, "address": text, "subject": text,
	"avatar": webURL, "ip": text, "origin": text,
	"segments": list(text), "data": dataMap,
	"device": object{
		"capabilities": list(text), "geolocation": anyObject, "system": anyObject,
		"timezone": number, "locales": list(text),
	}.check,
}

// messageShape is the body of a new message, apart from its content.
var messageShape = object{
	"type!": text, "from!": oneOf("user", "operator"), "origin!": origin,
	"content!":    func(string, json.RawMessage) *complaint { return nil },
	"fingerprint": integer, "timestamp": integer,
	"user": object{"type": oneOf("website", "participant"), "nickname": text, "avatar": orNil(webURL)}.check,
	"references": list(object{
		"type": text, "name": text, "target": text,
	}.check),
	"original": object{"type": text, "content": text}.check,
	"stealth":  boolean, "translated": boolean, "automated": boolean,
	"mentions": list(uuidText), "properties": dataMap,
}

var origins = regexp.MustCompile(`^(chat|email|urn(:[A-Za-z0-9_.-]+)+)$`)

// origin judges where a message came from.
func origin(path string, raw json.RawMessage) *complaint {
	if s, ok := asString(raw); !ok || !origins.MatchString(s) {
		return complain(path, "should be chat, email or an URN")
	}
	return nil
}

// contentShapes are the contents of messages by type, texts and notes apart.
var contentShapes = map[string]object{
	"file":      {"name!": text, "url!": webURL, "type!": text},
	"animation": {"url!": webURL, "type!": text},
	"audio":     {"url!": webURL, "type!": text, "duration": number},
	"picker": {
		"id!": text, "text!": text, "required": boolean,
		"choices!": list(object{
			"value!": text, "label!": text, "selected!": boolean, "icon": text,
			"action": object{"type!": text, "target!": text}.check,
		}.check),
	},
	"field": {"id!": text, "text!": text, "explain": anyText, "value": anyText, "required": boolean},
	"carousel": {
		"text!": text,
		"targets!": list(object{
			"title!": text, "description!": text, "image": webURL,
			"actions!": list(object{"label!": text, "url!": webURL}.check),
		}.check),
	},
	"event": {"namespace!": text, "text": text},
}

// contentCheck returns the check for the content of a message type; nil: there is no such type.
func contentCheck(kind string, maxText int) check {
	if kind == "text" || kind == "note" {
		return upTo(maxText)
	}
	if shape, ok := contentShapes[kind]; ok {
		return shape.check
	}
	return nil
}

var (
	composeShape = object{
		"type!": oneOf("start", "stop"), "from!": oneOf("user", "operator"),
		"excerpt": anyText, "stealth": boolean, "automated": boolean,
	}
	markShape    = object{"from!": oneOf("user", "operator"), "origin!": origin, "fingerprints": list(signed)}
	unreadShape  = object{"from!": oneOf("user", "operator")}
	stateShape   = object{"state!": oneOf("pending", "unresolved", "resolved"), "user": anyObject, "origin": origin}
	routingShape = object{"assigned!": orNil(object{"user_id!": uuidText}.check), "silent": boolean}
	inboxShape   = object{"inbox_id!": orNil(uuidText)}
	blockShape   = object{"blocked!": boolean}
	contentShape = object{"content!": func(string, json.RawMessage) *complaint { return nil }}
)
