package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// defaultGraph is where Meta's Graph API is.
const defaultGraph = "https://graph.facebook.com/v23.0/"

// graph calls Meta's Graph API for one page.
type graph struct {
	client *http.Client
	url    string // ends in "/"
	token  string // the page's access token

	mu       sync.Mutex
	personas map[handover.Agent]string // their ids; "" for those that Meta refused
}

func newGraph(client *http.Client, address, token string) *graph {
	return &graph{client: client, url: strings.TrimSuffix(address, "/") + "/", token: token, personas: map[handover.Agent]string{}}
}

// graphError is what the Graph API says of a call that failed. It quotes nobody.
type graphError struct {
	Status  int
	Code    int `json:"code"`
	Subcode int `json:"error_subcode"`
}

// Codes and subcodes of errors, as Meta documents them or shows them in its answers.
const (
	codePermission  = 10
	codeInvalid     = 100
	codeUnavailable = 551     // the user blocked the page, or is gone
	codeOutside     = 2018278 // a subcode: the 24 hours after the user's last message are over
	codeOutsideOld  = 2018065
)

// Error names the codes, for the list in Meta's documentation.
func (e *graphError) Error() string {
	return fmt.Sprintf("the Graph API answers HTTP %d, code %d, subcode %d", e.Status, e.Code, e.Subcode)
}

// Is says what the error means to the library: the user cannot be reached now, or the message
// cannot be shown so.
func (e *graphError) Is(target error) bool {
	switch target {
	case handover.ErrUserAway:
		return e.Code == codeUnavailable || e.Code == codePermission && (e.Subcode == codeOutside || e.Subcode == codeOutsideOld)
	case errors.ErrUnsupported:
		return e.Code == codeInvalid
	}
	return false
}

// final reports whether it is of no use to try again: the page may not do this.
func (e *graphError) final() bool {
	return e.Code == codeInvalid || e.Code == codePermission || e.Code >= 200 && e.Code < 300
}

// call makes a call and reads its answer into out.
func (g *graph) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("messenger: %w", err)
		}
		body = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, g.url+path, body)
	if err != nil {
		return fmt.Errorf("messenger: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+g.token) // not in the URL, which ends up in logs
	request.Header.Set("Content-Type", "application/json")
	response, err := g.client.Do(request)
	if err != nil {
		return fmt.Errorf("messenger: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("messenger: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		fault := struct{ Error graphError }{}
		_ = json.Unmarshal(answer, &fault) // a proxy's answer has no codes
		fault.Error.Status = response.StatusCode
		return &fault.Error
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return errors.New("messenger: the Graph API's answer is not JSON")
	}
	return nil
}

// person is a user, by the id that the page knows them by.
type person struct {
	ID string `json:"id"`
}

// send sends a message and returns its id. persona is whom it is from; "" is the page.
func (g *graph) send(ctx context.Context, user string, m handover.RichMessage, persona string) (id string, err error) {
	in := struct {
		Recipient person               `json:"recipient"`
		Type      string               `json:"messaging_type"`
		Message   handover.RichMessage `json:"message"`
		Persona   string               `json:"persona_id,omitempty"`
	}{person{user}, "RESPONSE", m, persona}
	var out struct {
		ID string `json:"message_id"`
	}
	err = g.call(ctx, http.MethodPost, "me/messages", in, &out)
	return out.ID, err
}

// act shows typing_on, typing_off or mark_seen. It is only a hint: its failure is logged.
func (g *graph) act(ctx context.Context, user, action, persona string) {
	in := struct {
		Recipient person `json:"recipient"`
		Action    string `json:"sender_action"`
		Persona   string `json:"persona_id,omitempty"`
	}{person{user}, action, persona}
	if err := g.call(ctx, http.MethodPost, "me/messages", in, &struct{}{}); err != nil {
		slog.Info("messenger: typing is not shown", "error", err)
	}
}

// maxPersona is the longest name of a persona, in characters.
const maxPersona = 50

// persona returns the id of the persona that stands for an agent, and makes it if need be. It
// returns "" where there is none: without a name or a picture, and where Meta does not offer them.
func (g *graph) persona(ctx context.Context, a handover.Agent) string {
	g.mu.Lock()
	id, known := g.personas[a]
	g.mu.Unlock()
	if known || a.Name == "" || a.Avatar == "" {
		return id
	}
	name := []rune(a.Name)
	in := map[string]string{"name": string(name[:min(len(name), maxPersona)]), "profile_picture_url": a.Avatar}
	var out person
	err := g.call(ctx, http.MethodPost, "me/personas", in, &out)
	if e, ok := errors.AsType[*graphError](err); err != nil && (!ok || !e.final()) {
		return "" // it may work next time
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.personas[a] = out.ID
	return out.ID
}

// known returns the persona of an agent if there is one already.
func (g *graph) known(a handover.Agent) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.personas[a]
}

// forget goes without a persona for this agent from now on.
func (g *graph) forget(a handover.Agent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.personas[a] = ""
}

const profileTime = 3 * time.Second

// profile is what Meta tells of a user. Without it the handover starts as well.
func (g *graph) profile(ctx context.Context, user string) handover.UserData {
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	var out struct {
		First   string `json:"first_name"`
		Last    string `json:"last_name"`
		Picture string `json:"profile_pic"`
	}
	if err := g.call(ctx, http.MethodGet, url.PathEscape(user)+"?fields=first_name,last_name,profile_pic", nil, &out); err != nil {
		slog.Info("messenger: the agents do not learn the user's name", "error", err)
	}
	return handover.UserData{FirstName: out.First, LastName: out.Last, Avatar: out.Picture}
}
