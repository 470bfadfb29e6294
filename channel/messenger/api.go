package messenger

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// send is the body of a call of me/messages.
type send struct {
	Recipient person                `json:"recipient"`
	Type      string                `json:"messaging_type,omitempty"`
	Tag       string                `json:"tag,omitempty"`
	Action    string                `json:"sender_action,omitempty"`
	Message   *handover.RichMessage `json:"message,omitempty"`
	Persona   string                `json:"persona_id,omitempty"`
}

// call calls the Graph API. Its error is what that of the call means.
func (c *Channel) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return meaning(c.api.Call(ctx, method, path, in, out))
}

// sender is whom a message is from.
type sender struct {
	persona string // its id; "" is the page
	human   bool   // a person wrote it
}

// post sends what is within the Send API's limits, and returns Meta's id of it. What a person wrote is sent with the
// tag HUMAN_AGENT where the 24 hours after the user's last message are over, if the page may do that.
func (c *Channel) post(ctx context.Context, user string, m handover.RichMessage, from sender) (id string, err error) {
	in := send{Recipient: person{user}, Type: "RESPONSE", Message: &m, Persona: from.persona}
	var out struct {
		ID string `json:"message_id"`
	}
	err = c.call(ctx, http.MethodPost, "me/messages", in, &out)
	if e, ok := errors.AsType[*Error](err); ok && e.outside() && from.human && c.humanAgent {
		in.Type, in.Tag = "MESSAGE_TAG", "HUMAN_AGENT"
		err = c.call(ctx, http.MethodPost, "me/messages", in, &out)
	}
	return out.ID, err
}

// sign shows typing_on or typing_off.
func (c *Channel) sign(ctx context.Context, user, action, persona string) error {
	return c.call(ctx, http.MethodPost, "me/messages", send{Recipient: person{user}, Action: action, Persona: persona}, &struct{}{})
}

const (
	maxPersona  = 50   // the longest name of a persona, in characters
	maxPersonas = 1000 // that are remembered
)

// personas are the ids of the personas that stand for agents; "" for those that Meta refused.
type personas struct {
	mu  sync.Mutex
	ids map[handover.Agent]string
}

func (p *personas) known(a handover.Agent) (id string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, known = p.ids[a]
	return id, known
}

func (p *personas) set(a handover.Agent, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids == nil || len(p.ids) >= maxPersonas {
		p.ids = map[handover.Agent]string{}
	}
	p.ids[a] = id
}

// persona returns the id of the persona that stands for an agent, and makes it if need be; "" where there is none:
// without a name or a picture, and where Meta does not offer them.
func (c *Channel) persona(ctx context.Context, a handover.Agent) string {
	id, known := c.personas.known(a)
	if known || a.Name == "" || a.Avatar == "" {
		return id
	}
	name := []rune(a.Name)
	in := map[string]string{"name": string(name[:min(len(name), maxPersona)]), "profile_picture_url": a.Avatar}
	var out person
	err := c.call(ctx, http.MethodPost, "me/personas", in, &out)
	if e, ok := errors.AsType[*Error](err); err != nil && (!ok || !e.final()) {
		return "" // it may work next time
	}
	c.personas.set(a, out.ID)
	return out.ID
}

const profileTime = 3 * time.Second

// User returns what Meta tells of a user, for Request.User: names and picture, which need the permission
// pages_messaging, and are empty where Meta does not tell. It takes three seconds at the most.
func (c *Channel) User(ctx context.Context, conv handover.Conversation) handover.UserData {
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	var out struct {
		First   string `json:"first_name"`
		Last    string `json:"last_name"`
		Picture string `json:"profile_pic"`
	}
	path := url.PathEscape(conv.ID) + "?fields=first_name,last_name,profile_pic"
	if err := c.call(ctx, http.MethodGet, path, nil, &out); err != nil {
		c.log.Info("messenger: the agents do not learn the user's name", "error", err)
	}
	return handover.UserData{FirstName: out.First, LastName: out.Last, Avatar: out.Picture}
}
