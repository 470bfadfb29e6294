package crispapi

import "net/http"

// operation is a kind of call.
type operation struct {
	name   string // in errors, and in what OnCall hears
	method string
	// scope is what the token needs for it, as Crisp's page "Token Scopes" and Crisp's own tools name
	// it; empty where no source names one.
	scope string
}

// reads reports whether the call changes nothing.
func (o *operation) reads() bool { return o.method == http.MethodGet }

// failed returns the error of a call.
func (o *operation) failed(status int, err error) *Error {
	return &Error{Op: o.name, Scope: o.scope, Read: o.reads(), StatusCode: status, Err: err}
}

// Scopes returns the operations, each with the scope that the token needs for it; empty where no source
// names one.
func Scopes() map[string]string {
	all := make(map[string]string)
	for _, op := range []*operation{opCreate, opConversation, opList, opMetas, opSetMetas, opInbox, opAssign, opState, opReadState, opRating,
		opSend, opNote, opEdit, opMessage, opMessages, opDelivered, opRead, opTyping, opAvailability, opWebsite} {
		all[op.name] = op.scope
	}
	return all
}

// The operations of this package.
var (
	opCreate       = &operation{"create conversation", http.MethodPost, "website:conversation:initiate (write)"}
	opConversation = &operation{"read conversation", http.MethodGet, "website:conversation:sessions (read)"}
	opList         = &operation{"list conversations", http.MethodGet, "website:conversation:sessions (read)"}
	opMetas        = &operation{"read metas", http.MethodGet, "website:conversation:sessions (read)"}
	opSetMetas     = &operation{"update metas", http.MethodPatch, "website:conversation:sessions (write)"}
	opInbox        = &operation{"change inbox", http.MethodPatch, "website:conversation:sessions (write)"}
	opAssign       = &operation{"assign", http.MethodPatch, "website:conversation:routing (write)"}
	opState        = &operation{"change state", http.MethodPatch, "website:conversation:states (write)"}
	opReadState    = &operation{"read state", http.MethodGet, "website:conversation:states (read)"}
	opRating       = &operation{"ask for a rating", http.MethodPost, ""}
	opSend         = &operation{"send message", http.MethodPost, "website:conversation:messages (write)"}
	opNote         = &operation{"send note", http.MethodPost, "website:conversation:messages (write)"}
	opEdit         = &operation{"update message", http.MethodPatch, "website:conversation:messages (write)"}
	opMessage      = &operation{"read message", http.MethodGet, "website:conversation:messages (read)"}
	opMessages     = &operation{"read messages", http.MethodGet, "website:conversation:messages (read)"}
	opDelivered    = &operation{"mark as delivered", http.MethodPatch, "website:conversation:messages (write)"}
	opRead         = &operation{"mark as read", http.MethodPatch, "website:conversation:messages (write)"}
	opTyping       = &operation{"show typing", http.MethodPatch, "website:conversation:messages (write)"}
	opAvailability = &operation{"read availability", http.MethodGet, "website:availability (read)"}
	opWebsite      = &operation{"read website", http.MethodGet, ""}
)
