package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

const (
	callTime  = 15 * time.Second
	maxAnswer = 8 << 20 // bytes
)

// apiError is what the Bot API says of a call that failed. It quotes nothing of what was sent.
type apiError struct {
	method string
	code   int
	known  string // of the descriptions that are known
	wait   time.Duration
	moved  int64 // where the chat is now: a group became a supergroup
}

// The descriptions that tell apart what a code alone does not. They are not documented; each is only looked for.
const (
	notModified  = "message is not modified"
	editGone     = "message to edit not found"
	deleteGone   = "message to delete not found"
	cannotDelete = "message can't be deleted"
	noChat       = "chat not found"
	noPeer       = "PEER_ID_INVALID"
	badMarkup    = "can't parse entities"
	noRights     = "not enough rights"
	noWrite      = "have no rights to send"
	writeForbid  = "CHAT_WRITE_FORBIDDEN"
	kicked       = "bot was kicked"
	notMember    = "bot is not a member"
)

var (
	descriptions = []string{notModified, editGone, deleteGone, cannotDelete, noChat, noPeer, badMarkup, noRights, noWrite, writeForbid, kicked, notMember}
	away         = []string{noChat, noPeer, noRights, noWrite, writeForbid, kicked, notMember}
)

// Error names the call and the code.
func (e *apiError) Error() string {
	if e.known != "" {
		return fmt.Sprintf("telegram: %s answers %d: %s", e.method, e.code, e.known)
	}
	return fmt.Sprintf("telegram: %s answers %d", e.method, e.code)
}

// saysOf returns what the Bot API says of a call that failed with this error.
func saysOf(err error) (e apiError) {
	if api := (*apiError)(nil); errors.As(err, &api) {
		e = *api
	}
	return e
}

// meant is what an error means to the library: not before, the user is away, or not so.
func meant(err error) error {
	e := saysOf(err)
	switch {
	case e.wait > 0:
		return handover.RetryAfter(e.wait, err)
	case e.code == http.StatusForbidden, slices.Contains(away, e.known): // the user has blocked the bot, or is gone
		return fmt.Errorf("%w: %w", handover.ErrUserAway, err)
	case e.code == http.StatusBadRequest, e.code == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// call calls a method of the Bot API, and reads its result into out, if there is one. Where a group has moved it is called
// there, and "chat_id" in in is what it was called with.
func (c *Channel) call(ctx context.Context, method string, in map[string]any, out any) error {
	chat, _ := in["chat_id"].(string)
	if isGroup(chat) {
		if now, err := c.groups.now(ctx, chat); err == nil { // else the answer tells
			in["chat_id"] = now
		}
	}
	err := c.callOnce(ctx, method, in, out)
	if to := strconv.FormatInt(saysOf(err).moved, 10); to != "0" && chat != "" {
		c.groups.notes(ctx, chat, to)
		if in["message_id"] != nil { // another message has that number there
			return err
		}
		in["chat_id"] = to
		err = c.callOnce(ctx, method, in, out)
	}
	return err
}

func (c *Channel) callOnce(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("telegram: %s: %w", method, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return c.post(ctx, method, body, out)
}

func (c *Channel) post(ctx context.Context, method string, body []byte, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.BaseURL+"/bot"+c.config.Token.Reveal()+"/"+method, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("telegram: %s cannot be called", method)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.config.Client.Do(r)
	if err != nil {
		return c.unreached(ctx, method, err)
	}
	defer response.Body.Close()
	var answer struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		Code        int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter int   `json:"retry_after"` // seconds
			MovedTo    int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unreached(ctx, method, err)
	}
	if json.Unmarshal(raw, &answer) != nil || !answer.OK {
		e := &apiError{method: method, code: answer.Code, wait: time.Duration(answer.Parameters.RetryAfter) * time.Second, moved: answer.Parameters.MovedTo}
		if e.code == 0 { // a proxy's answer
			e.code = response.StatusCode
		}
		for _, d := range descriptions {
			if strings.Contains(answer.Description, d) {
				e.known = d
			}
		}
		if e.code == http.StatusTooManyRequests && e.wait <= 0 {
			e.wait = time.Second
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Result, out); err != nil {
		return fmt.Errorf("telegram: the result of %s is not as documented", method)
	}
	return nil
}

// unreached is the error of a call that got no answer, without its URL, which has the token.
func (c *Channel) unreached(ctx context.Context, method string, err error) error {
	if to := (*url.Error)(nil); errors.As(err, &to) {
		err = to.Err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), c.config.Token.Reveal()) {
		return fmt.Errorf("telegram: %s: no answer", method)
	}
	return fmt.Errorf("telegram: %s: no answer: %w", method, err)
}
