package crispapi

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// Metas is what operators see about the user of a conversation. Empty members are not sent.
type Metas struct {
	Nickname string   `json:"nickname,omitempty"`
	Email    string   `json:"email,omitempty"`
	Phone    string   `json:"phone,omitempty"`
	Avatar   string   `json:"avatar,omitempty"`
	Segments []string `json:"segments,omitempty"` // a PATCH replaces all that there are
	// Data are the user's custom data. Of a read, values that are no strings are jsontext.Values, so
	// that they can be written back as they were.
	Data   map[string]any `json:"data,omitempty"`
	Device *Device        `json:"device,omitempty"`
}

// Device is what the user has.
type Device struct {
	Locales []string `json:"locales,omitempty"`
}

// Metas reads a conversation's metas. What is of another type than Crisp documents reads as empty:
// Crisp writes an empty object as [].
func (c *Client) Metas(ctx context.Context, id string) (m Metas, err error) {
	err = c.do(ctx, request{op: opMetas, session: id, path: "/meta", take: func(a answer) error {
		switch a.data.Kind() {
		case jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindNull:
			m = readMetas(a.data)
			return nil
		}
		return errData
	}})
	return m, err
}

func readMetas(v jsontext.Value) (m Metas) {
	v, clear, err := exactjson.Read(v)
	if err != nil || !clear {
		return m
	}
	var data, device jsontext.Value
	exactjson.ReadObject(v, exactjson.Fields{"nickname": &m.Nickname, "email": &m.Email, "phone": &m.Phone,
		"avatar": &m.Avatar, "data": &data, "device": &device,
		"segments": func(v jsontext.Value) bool { m.Segments = stringsOf(v); return true }})
	_ = exactjson.Members(data, func(name string, value jsontext.Value) {
		if m.Data == nil {
			m.Data = make(map[string]any)
		}
		m.Data[name] = value
		if s := ""; value.Kind() == jsontext.KindString {
			exactjson.Set(&s, value)
			m.Data[name] = s
		}
	})
	var locales []string
	exactjson.ReadObject(device, exactjson.Fields{"locales": func(v jsontext.Value) bool { locales = stringsOf(v); return true }})
	if locales != nil {
		m.Device = &Device{Locales: locales}
	}
	return m
}

// stringsOf returns the strings in an array.
func stringsOf(v jsontext.Value) (all []string) {
	for _, e := range exactjson.Elements(v) {
		if s := ""; exactjson.Set(&s, e) {
			all = append(all, s)
		}
	}
	return all
}

// SetMetas changes a conversation's metas. Data is merged with what there is, and segments replace it.
func (c *Client) SetMetas(ctx context.Context, id string, m Metas) error {
	return c.do(ctx, request{op: opSetMetas, session: id, path: "/meta", body: m})
}
