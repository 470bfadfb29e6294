package crisplog

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// plainLog is a Log as its fields say.
type plainLog Log

// logForm is a Log as it is stored: without what the rest tells of nearly every log.
type logForm struct {
	plainLog
	Shown *Position `json:"shown,omitzero"` // nil: lastShown
}

// MarshalJSONTo implements json.MarshalerTo.
func (l *Log) MarshalJSONTo(enc *jsontext.Encoder) error {
	form := logForm{plainLog: plainLog(*l)}
	form.Newest -= l.Watermark
	if l.Shown != l.lastShown() {
		form.Shown = &l.Shown
	}
	return json.MarshalEncode(enc, &form)
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *Log) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var form logForm
	if err := json.UnmarshalDecode(dec, &form); err != nil {
		return err
	}
	*l = Log(form.plainLog)
	l.Newest += l.Watermark
	if form.Shown != nil {
		l.Shown = *form.Shown
	} else {
		l.Shown = l.lastShown()
	}
	return nil
}

// lastShown is the place of the entry that is the last of those that were shown.
func (l *Log) lastShown() (last Position) {
	for _, e := range l.Entries {
		if e != nil && e.Status == Shown && last.Before(e.Position) {
			last = e.Position
		}
	}
	return last
}
