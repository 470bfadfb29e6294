package crispapi

import (
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

// readMetas reads whatever there is to read.
func readMetas(v jsontext.Value) (m Metas) {
	v, clear, err := exactjson.Read(v)
	if err != nil || !clear {
		return m
	}
	var data, device jsontext.Value
	exactjson.ReadObject(v, exactjson.To("nickname", &m.Nickname), exactjson.To("email", &m.Email), exactjson.To("phone", &m.Phone),
		exactjson.To("avatar", &m.Avatar), exactjson.To("data", &data), exactjson.To("device", &device),
		exactjson.To("segments", func(v jsontext.Value) bool { m.Segments = stringsOf(v); return true }))
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
	exactjson.ReadObject(device, exactjson.To("locales", func(v jsontext.Value) bool { locales = stringsOf(v); return true }))
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
