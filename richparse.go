package handover

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/jsonplace"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

const nothing = "nothing to show: give it text or an attachment"

// The limits of what ParseRichMessages reads.
const (
	maxRichBytes    = 256 << 10
	maxRichDepth    = 32
	maxRichMessages = 100
	maxPayload      = 1000 // Messenger's limit of a quick reply's payload
)

// ParseError says where a rich message is wrong, and never what it holds.
type ParseError struct {
	Offset int64  // in bytes from the start of the input, where the value stands; -1 from Validate
	Path   string // JSON Pointer (RFC 6901) of the fault, such as /0/quick_replies/2/title
	Err    error  // what is wrong there
}

// Error names the place and the fault.
func (e *ParseError) Error() string {
	path := e.Path
	if path == "" {
		path = "/"
	}
	if e.Offset < 0 {
		return fmt.Sprintf("handover: rich message: %s: %v", path, e.Err)
	}
	return fmt.Sprintf("handover: rich message: offset %d: %s: %v", e.Offset, path, e.Err)
}

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// faultAt returns a fault whose offset is not known.
func faultAt(path, text string) *ParseError {
	return &ParseError{Offset: -1, Path: path, Err: errors.New(text)}
}

// under puts a fault that was found in an inner value below the path of that value.
func (e *ParseError) under(path string, index int) *ParseError {
	if e != nil {
		e.Path = path + "/" + strconv.Itoa(index) + e.Path
	}
	return e
}

// ParseRichMessages reads what a user is to be shown: JSON with one message, a list of messages
// and strings, or one string; or plain text. Input whose first character is {, [ or " is read as
// JSON, all other as text. A quick reply without content_type gets "text", one without payload
// its title. At most 256 KiB, 100 messages and 32 levels of nesting.
//
// The error is a *ParseError with the place of the fault; see RichMessage.Validate for what is
// refused beyond bad JSON, duplicate member names and bad UTF-8.
func ParseRichMessages[T string | []byte](data T) ([]RichMessage, error) {
	if len(data) > maxRichBytes {
		return nil, &ParseError{Offset: maxRichBytes, Err: errors.New("longer than 256 KiB")}
	}
	const mark = "\uFEFF"
	text := strings.TrimPrefix(string(data), mark)
	var messages []RichMessage
	fault := (*ParseError)(nil)
	switch start := strings.TrimLeft(text, " \t\r\n"); {
	case textsplit.Blank(text):
		fault = &ParseError{Err: errors.New(nothing)}
	case strings.ContainsRune(`{["`, rune(start[0])):
		messages, fault = parseRichJSON(jsontext.Value(text))
	case !utf8.ValidString(text):
		fault = &ParseError{Offset: int64(jsonplace.ValidPrefix(text)), Err: errors.New("not UTF-8")}
	default:
		messages = []RichMessage{TextMessage(text)}
	}
	if fault != nil {
		fault.Offset += int64(len(data) - len(text))
		return nil, fault
	}
	return messages, nil
}

// parseRichJSON reads one message, a list, or a string.
func parseRichJSON(data jsontext.Value) ([]RichMessage, *ParseError) {
	if fault := jsonplace.Check(data, maxRichDepth); fault != nil {
		return nil, (*ParseError)(fault)
	}
	values, list := []jsontext.Value{data}, data.Kind() == '['
	if list {
		if err := json.Unmarshal(data, &values); err != nil {
			return nil, &ParseError{Err: errors.New("not a list")}
		}
		if len(values) == 0 || len(values) > maxRichMessages {
			return nil, &ParseError{Err: errors.New("a list of 1 to 100 messages is needed")}
		}
	}
	messages := make([]RichMessage, len(values))
	for i, v := range values {
		if fault := parseRichValue(v, &messages[i]); fault != nil {
			if list {
				fault = fault.under("", i)
			}
			fault.Offset = jsonplace.Offset(data, fault.Path)
			return nil, fault
		}
	}
	return messages, nil
}

// parseRichValue reads one message: an object, or a string that is its text.
func parseRichValue(v jsontext.Value, m *RichMessage) *ParseError {
	switch v.Kind() {
	case '"':
		if err := json.Unmarshal(v, &m.Text); err != nil || textsplit.Blank(m.Text) {
			return faultAt("", nothing)
		}
	case '{':
		if err := json.Unmarshal(v, m); err != nil {
			return wrongType(err)
		}
	default:
		return faultAt("", "a message is an object or a string")
	}
	m.complete()
	return m.fault()
}

// complete gives quick replies what they may leave out: the content type text, and their title as
// payload.
func (m *RichMessage) complete() {
	for i := range m.QuickReplies {
		q := &m.QuickReplies[i]
		if q.ContentType == "" {
			q.ContentType = ReplyText
		}
		if q.Payload == "" {
			q.Payload = q.Title
		}
	}
}

// completed returns complete copies of messages that a host made, which stand in a field.
func completed(field string, messages []RichMessage) ([]RichMessage, error) {
	own := make([]RichMessage, len(messages))
	for i, m := range messages {
		err := m.Validate()
		if err == nil {
			var text []byte
			if text, err = m.MarshalJSON(); err == nil {
				err = own[i].UnmarshalJSON(text)
			}
		}
		if err == nil {
			own[i].complete()
			err = own[i].Validate() // a title may be too long for a payload
		}
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
	}
	return own, nil
}

// wrongType turns the decoder's error into a fault that quotes nothing.
func wrongType(err error) *ParseError {
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok || semantic.GoType == nil {
		return faultAt("", "not a message")
	}
	want := "an object"
	switch semantic.GoType.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Slice:
		want = "a list"
	}
	return faultAt(string(semantic.JSONPointer), "must be "+want)
}

// Validate returns a *ParseError for a message that cannot be shown: nothing but white space; a
// quick reply of content type text or none, a button or an element without a title; a payload over
// 1,000 bytes; an attachment of an unknown type or without its content; a link that is not http, https,
// mailto or tel (for images and files: http or https), or that holds a user name, a space or a
// control character; Unknown that is not a JSON object. Too long or too many is no fault: what a
// channel cannot show package channel divides.
func (m RichMessage) Validate() error {
	if fault := m.fault(); fault != nil {
		return fault
	}
	return nil
}
func (m RichMessage) fault() *ParseError {
	if textsplit.Blank(m.Text) && m.Attachment == nil {
		return faultAt("/text", nothing)
	}
	for i, q := range m.QuickReplies {
		if fault := q.fault(); fault != nil {
			return fault.under("/quick_replies", i)
		}
	}
	if m.Attachment != nil {
		if fault := m.Attachment.fault(); fault != nil {
			fault.Path = "/attachment" + fault.Path
			return fault
		}
	}
	if _, err := json.Marshal(m); err != nil {
		return faultAt("", "Unknown must be a JSON object with members that have no field")
	}
	return nil
}
func (q QuickReply) fault() *ParseError {
	switch {
	case (q.ContentType == ReplyText || q.ContentType == "") && textsplit.Blank(q.Title):
		return faultAt("/title", "a quick reply needs a title")
	case len(q.Payload) > maxPayload:
		return faultAt("/payload", "longer than 1,000 bytes")
	case q.ImageURL != "" && !weblink.Web(q.ImageURL):
		return faultAt("/image_url", "not a plain http or https link")
	}
	return nil
}
func (a Attachment) fault() *ParseError {
	p := a.Payload
	switch a.Type {
	case AttachmentImage, AttachmentVideo, AttachmentAudio, AttachmentFile:
		if p.URL == "" && len(p.Unknown) > 0 { // attachment_id, for one
			return nil
		}
		if !weblink.Web(p.URL) {
			return faultAt("/payload/url", "not a plain http or https link")
		}
		return nil
	case AttachmentTemplate:
	default:
		return faultAt("/type", "must be image, video, audio, file or template")
	}
	switch {
	case p.TemplateType == "":
		return faultAt("/payload/template_type", "a template needs a type")
	case p.TemplateType == TemplateButton && textsplit.Blank(p.Text):
		return faultAt("/payload/text", "a button template needs text")
	case p.TemplateType == TemplateButton && len(p.Buttons) == 0:
		return faultAt("/payload/buttons", "a button template needs buttons")
	case p.TemplateType == TemplateGeneric && len(p.Elements) == 0:
		return faultAt("/payload/elements", "a generic template needs elements")
	}
	for i, b := range p.Buttons {
		if fault := b.fault(true); fault != nil {
			return fault.under("/payload/buttons", i)
		}
	}
	for i, e := range p.Elements {
		if fault := e.fault(p.TemplateType == TemplateGeneric); fault != nil {
			return fault.under("/payload/elements", i)
		}
	}
	return nil
}
func (e Element) fault(titled bool) *ParseError {
	switch {
	case titled && textsplit.Blank(e.Title):
		return faultAt("/title", "an element needs a title")
	case e.ImageURL != "" && !weblink.Web(e.ImageURL):
		return faultAt("/image_url", "not a plain http or https link")
	}
	if e.DefaultAction != nil {
		if fault := e.DefaultAction.fault(false); fault != nil {
			fault.Path = "/default_action" + fault.Path
			return fault
		}
	}
	for i, b := range e.Buttons {
		if fault := b.fault(true); fault != nil {
			return fault.under("/buttons", i)
		}
	}
	return nil
}
func (b Button) fault(titled bool) *ParseError {
	known := b.Type == ButtonURL || b.Type == ButtonPostback || b.Type == ButtonPhone
	switch {
	case b.Type == "":
		return faultAt("/type", "a button needs a type")
	case titled && known && textsplit.Blank(b.Title):
		return faultAt("/title", "a button needs a title")
	case (b.URL != "" || b.Type == ButtonURL) && !weblink.Safe(b.URL):
		return faultAt("/url", "not a plain http, https, mailto or tel link")
	case (b.Type == ButtonPostback || b.Type == ButtonPhone) && b.Payload == "":
		return faultAt("/payload", "this button needs a payload")
	case len(b.Payload) > maxPayload:
		return faultAt("/payload", "longer than 1,000 bytes")
	}
	return nil
}
