package handovertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Meta is what Crisp knows of the user of a conversation.
type Meta struct {
	Nickname, Email, Phone, Address, Subject, Avatar, IP, Origin string

	Segments []string
	Data     map[string]any  // strings, float64 and bool
	Device   json.RawMessage // as it was patched; nil if it never was
}

// clone returns a copy that shares nothing with m.
func (m Meta) clone() Meta {
	m.Segments = slices.Clone(m.Segments)
	m.Data = maps.Clone(m.Data)
	m.Device = slices.Clone(m.Device)
	return m
}

// texts returns the fields that hold a plain string, by their names in Crisp.
func (m *Meta) texts() map[string]*string {
	return map[string]*string{
		"nickname": &m.Nickname, "email": &m.Email, "phone": &m.Phone, "address": &m.Address,
		"subject": &m.Subject, "avatar": &m.Avatar, "ip": &m.IP, "origin": &m.Origin,
	}
}

// wire returns what reads say of the metas.
func (m Meta) wire() map[string]any {
	out := map[string]any{
		"segments": append([]string{}, m.Segments...),
		"data":     map[string]any{},
		"device":   json.RawMessage("{}"),
	}
	for name, text := range m.texts() {
		out[name] = *text
	}
	if m.Data != nil {
		out["data"] = m.Data
	}
	if m.Device != nil {
		out["device"] = m.Device
	}
	return out
}

// patchMeta applies a checked PATCH and sends a hook for each field. Texts and segments replace,
// data merges or replaces as Options says. The caller holds the lock.
func (v *Conversation) patchMeta(patch map[string]json.RawMessage) {
	next := v.last().meta.clone()
	hooks := map[string]any{}
	for name, text := range next.texts() {
		if raw, ok := patch[name]; ok {
			_ = json.Unmarshal(raw, text) // checked
			hooks[name] = *text
		}
	}
	if raw, ok := patch["segments"]; ok {
		next.Segments = nil
		_ = json.Unmarshal(raw, &next.Segments)
		hooks["segments"] = next.Segments
	}
	if raw, ok := patch["data"]; ok {
		if v.crisp.options.DataReplaced || next.Data == nil {
			next.Data = map[string]any{}
		}
		_ = json.Unmarshal(raw, &next.Data)
		hooks["data"] = next.Data
	}
	if raw, ok := patch["device"]; ok {
		next.Device = raw
	}
	now := v.change(func(s *snapshot) {
		if next.Email != s.meta.Email {
			s.mailable = time.Now()
		}
		s.meta = next
	})
	v.crisp.note("%s: metas set: %s", v.label(), names(patch))
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		v.push("session:set_"+name, now, map[string]any{name: hooks[name]})
	}
	if _, ok := patch["segments"]; ok && len(v.last().messages) > 0 {
		v.applyRules()
	}
}

// names lists the names of a patch.
func names(patch map[string]json.RawMessage) string {
	return fmt.Sprint(slices.Sorted(maps.Keys(patch)))
}
