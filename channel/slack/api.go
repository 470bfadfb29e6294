package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

const (
	callTime  = 15 * time.Second
	maxAnswer = 4 << 20 // bytes
)

// apiError is what the Web API says of a call that failed.
type apiError struct {
	method string
	status int
	code   string // such as "channel_not_found"
	wait   time.Duration
}

// Error names the call and the code, for the list in Slack's documentation.
func (e *apiError) Error() string {
	if e.code != "" {
		return fmt.Sprintf("slack: %s answers %s", e.method, e.code)
	}
	return fmt.Sprintf("slack: %s answers HTTP %d", e.method, e.status)
}

// codeOf is the code of an error, or empty.
func codeOf(err error) string {
	if api := (*apiError)(nil); errors.As(err, &api) {
		return api.code
	}
	return ""
}

// The codes of errors that mean something to the library, as Slack documents them.
var (
	gone = []string{"channel_not_found", "is_archived", "not_in_channel", "messages_tab_disabled", "user_disabled",
		"user_not_found", "thread_locked", "restricted_action_thread_locked", "restricted_action_read_only_channel"}
	badFormat = []string{"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text",
		"invalid_arguments", "too_many_attachments", "invalid_attachments", "metadata_must_be_sent_from_app"}
	cannotChange = []string{"cant_update_message", "edit_window_closed", "cant_delete_message", "compliance_exports_prevent_deletion"}
)

const messageGone = "message_not_found"

// meant is what an error means to the library: not before, the user is away, or not so.
func meant(err error) error {
	api := (*apiError)(nil)
	if !errors.As(err, &api) {
		return err
	}
	switch {
	case api.wait > 0:
		return handover.RetryAfter(api.wait, err)
	case slices.Contains(gone, api.code):
		return fmt.Errorf("%w: %w", handover.ErrUserAway, err)
	case slices.Contains(badFormat, api.code), slices.Contains(cannotChange, api.code), api.code == messageGone:
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// code is what a code of Slack's looks like; nothing else is shown.
var code = regexp.MustCompile(`^[a-z_]{1,64}$`)

// call calls a method of the Web API with JSON, and reads its answer into out, if there is one. Methods that only read
// take no JSON: see ask.
func (c *Channel) call(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("slack: %s: %w", method, err)
	}
	return c.request(ctx, method, "application/json; charset=utf-8", body, out)
}

// ask is call with a form.
func (c *Channel) ask(ctx context.Context, method string, in url.Values, out any) error {
	return c.request(ctx, method, "application/x-www-form-urlencoded", []byte(in.Encode()), out)
}

func (c *Channel) request(ctx context.Context, method, contentType string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.BaseURL+method, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("slack: %s cannot be called", method)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+c.config.Token.Reveal())
	response, err := c.config.Client.Do(r)
	if err != nil {
		return c.unreached(ctx, method, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unreached(ctx, method, err)
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(raw, &answer) != nil || !answer.OK {
		e := &apiError{method: method, status: response.StatusCode}
		if code.MatchString(answer.Error) {
			e.code = answer.Error
		}
		if response.StatusCode == http.StatusTooManyRequests || e.code == "ratelimited" || e.code == "rate_limited" {
			seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
			e.wait = time.Duration(max(seconds, 1)) * time.Second
		}
		return e
	}
	if out == nil {
		return nil
	}
	if json.Unmarshal(raw, out) != nil {
		return fmt.Errorf("slack: the answer of %s is not as documented", method)
	}
	return nil
}

// unreached is the error of a call that got no answer.
func (c *Channel) unreached(ctx context.Context, method string, err error) error {
	if to := (*url.Error)(nil); errors.As(err, &to) {
		err = to.Err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, c.config.Token.Reveal()) {
		return fmt.Errorf("slack: %s: no answer", method)
	}
	return fmt.Errorf("slack: %s: no answer: %w", method, err)
}
