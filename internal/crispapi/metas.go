package crispapi

import (
	"context"
	"maps"
	"slices"

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

// With returns these metas with others added, for a change: whether Crisp merges or replaces data is unknown, and
// segments are replaced.
func (m Metas) With(want Metas) Metas {
	if len(m.Data)+len(want.Data) > 0 {
		data := maps.Clone(m.Data)
		if data == nil {
			data = make(map[string]any)
		}
		maps.Copy(data, want.Data)
		want.Data = data
	}
	segments := slices.Clone(m.Segments)
	for _, s := range want.Segments {
		if !slices.Contains(segments, s) {
			segments = append(segments, s)
		}
	}
	want.Segments = segments
	return want
}

// SetMetasThatFit is SetMetas, but where Crisp refuses something in m, it sets the fields one by one, and shows those
// that are refused among the data. left are their names.
func (c *Client) SetMetasThatFit(ctx context.Context, id string, m Metas) (left []string, err error) {
	e := c.trySetMetas(ctx, id, m)
	if !e.badContent() {
		return nil, c.fault(e)
	}
	data := maps.Clone(m.Data)
	if data == nil {
		data = make(map[string]any)
	}
	for _, f := range []struct {
		name, value string // value is empty if it cannot be shown
		metas       Metas
	}{
		{"nickname", m.Nickname, Metas{Nickname: m.Nickname}},
		{"email", m.Email, Metas{Email: m.Email}},
		{"phone", m.Phone, Metas{Phone: m.Phone}},
		{"avatar", m.Avatar, Metas{Avatar: m.Avatar}},
		{"segments", "", Metas{Segments: m.Segments}},
		{"locale", "", Metas{Device: m.Device}},
		{"data", "", Metas{Data: data}}, // with what was refused
	} {
		if f.metas.empty() {
			continue
		}
		if e := c.trySetMetas(ctx, id, f.metas); e.badContent() {
			left = append(left, f.name)
			if f.value != "" {
				data[f.name] = f.value
			}
		} else if e != nil {
			return left, c.fault(e)
		}
	}
	return left, nil
}

// empty reports whether nothing is to be set.
func (m *Metas) empty() bool {
	return m.Nickname+m.Email+m.Phone+m.Avatar == "" && len(m.Segments) == 0 && len(m.Data) == 0 && m.Device == nil
}
