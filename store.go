package handover

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrConflict is returned by Store.Save and Store.Delete when the record is not stored in the
	// version given. The caller loads it again and repeats its change.
	ErrConflict = errors.New("handover: the record was changed meanwhile: load it again")

	// ErrTaken is returned by Store.Save when one of the record's CrispIDs leads to another
	// record. A Crisp conversation belongs to one conversation of the bot.
	ErrTaken = errors.New("handover: the Crisp conversation belongs to another record")
)

// Record is what a Store keeps of one conversation. A store looks at nothing but these fields,
// and gives back what it was given, byte for byte.
type Record struct {
	// Key names the record. Any UTF-8 text without NUL, of 1 to 1,024 bytes; compared byte by byte.
	Key string
	// CrispIDs are further names of the record, for Find: "websiteID/session_…". Text like that of
	// Key, in an order that is kept. May be empty; each leads to at most one record.
	CrispIDs []string
	// Version is 0 in a record that was never stored. At each Save a store gives one that this key
	// never had before, also when a deleted key is stored again.
	Version int64
	// Due is when the conversation next wants attention; zero for never. To the microsecond.
	Due time.Time
	// Data is opaque. Nil and empty are the same.
	Data []byte
}

// Store keeps the library's state. Every method must be safe for concurrent use, honour its
// context, and share no memory with its caller (slices are copied both ways). Durable stores make
// the library's promises hold through restarts; stores shared by several processes, across
// replicas. handovertest.TestStore checks an implementation.
//
// After any error of Save or Delete but ErrConflict and ErrTaken, the context's included, it is not
// known whether the work was done: the connection may have broken after it, or the database may still
// be at it. Load tells what is stored by then.
type Store interface {
	// Load returns the record with this key. A key that is not stored gives the zero Record and
	// no error.
	Load(ctx context.Context, key string) (Record, error)

	// Find returns the record that has this Crisp id among its CrispIDs. An id that is not known
	// gives the zero Record and no error.
	Find(ctx context.Context, crispID string) (Record, error)

	// Save stores the record if its Version is the stored one, 0 standing for "not stored", and
	// returns the new Version. It replaces all fields, CrispIDs included. Otherwise nothing
	// changes and the error is ErrConflict; saving a record that was deleted meanwhile is such a
	// conflict. If the Version is right but a Crisp id leads to another record, nothing changes and
	// the error is ErrTaken.
	Save(ctx context.Context, r Record) (version int64, err error)

	// Due returns the keys of at most limit records whose Due is set and not after now, the
	// longest due first; none if limit is below 1. It locks nothing: several callers may get the
	// same key.
	Due(ctx context.Context, now time.Time, limit int) (keys []string, err error)

	// Delete removes the record, and what Find knows of it, if it is stored in this version;
	// else the error is ErrConflict. Deleting a key that is not stored does nothing and is no
	// error.
	Delete(ctx context.Context, key string, version int64) error
}
