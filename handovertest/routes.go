package handovertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The routes of the REST API, as CallInfo, Call and Fault name them. Those without a "plugin" are
// below /v1/website/{website_id}.
const (
	RouteCreate          = "POST /conversation"
	RouteExists          = "HEAD /conversation/{sid}"
	RouteConversation    = "GET /conversation/{sid}"
	RouteDelete          = "DELETE /conversation/{sid}"
	RouteInitiate        = "POST /conversation/{sid}/initiate"
	RouteList            = "GET /conversations/{page}"
	RouteMeta            = "GET /conversation/{sid}/meta"
	RoutePatchMeta       = "PATCH /conversation/{sid}/meta"
	RouteSend            = "POST /conversation/{sid}/message"
	RouteMessages        = "GET /conversation/{sid}/messages"
	RouteMessage         = "GET /conversation/{sid}/message/{fingerprint}"
	RouteEdit            = "PATCH /conversation/{sid}/message/{fingerprint}"
	RouteRemoveMessage   = "DELETE /conversation/{sid}/message/{fingerprint}"
	RouteCompose         = "PATCH /conversation/{sid}/compose"
	RouteRead            = "PATCH /conversation/{sid}/read"
	RouteUnread          = "PATCH /conversation/{sid}/unread"
	RouteDelivered       = "PATCH /conversation/{sid}/delivered"
	RouteState           = "GET /conversation/{sid}/state"
	RoutePatchState      = "PATCH /conversation/{sid}/state"
	RouteRouting         = "GET /conversation/{sid}/routing"
	RoutePatchRouting    = "PATCH /conversation/{sid}/routing"
	RoutePatchInbox      = "PATCH /conversation/{sid}/inbox"
	RouteBlock           = "GET /conversation/{sid}/block"
	RoutePatchBlock      = "PATCH /conversation/{sid}/block"
	RouteFeedback        = "POST /conversation/{sid}/feedback"
	RouteWebsite         = "GET /"
	RouteAvailability    = "GET /availability/status"
	RouteAvailabilities  = "GET /availability/operators"
	RouteOperators       = "GET /operators/list"
	RouteConnectAccount  = "GET /plugin/connect/account"
	RouteConnectSession  = "HEAD /plugin/connect/session"
	RouteConnectWebsites = "GET /plugin/connect/websites/all/{page}"
)

// route says how a call is answered.
type route struct {
	// work does the work, with the lock held. A conversation that the route names is there, and
	// the body is as it should be.
	work func(c *Crisp, q *request) answer
	body object // the shape of the body; nil: there is none
	// scope is what the token needs, as Crisp's import tool and third parties name it; empty where no
	// source names one.
	scope string
}

// routes are all routes.
var routes = map[string]route{
	RouteCreate:          {work: (*Crisp).postConversation, scope: "website:conversation:initiate:write"},
	RouteExists:          {work: (*Crisp).headConversation, scope: "website:conversation:sessions:read"},
	RouteConversation:    {work: (*Crisp).getConversation, scope: "website:conversation:sessions:read"},
	RouteDelete:          {work: (*Crisp).deleteConversation, scope: "website:conversation:sessions:write"},
	RouteInitiate:        {work: (*Crisp).postInitiate, scope: "website:conversation:initiate:write"},
	RouteList:            {work: (*Crisp).getConversations, scope: "website:conversation:sessions:read"},
	RouteMeta:            {work: (*Crisp).getMeta, scope: "website:conversation:sessions:read"},
	RoutePatchMeta:       {work: (*Crisp).patchMeta, body: metaShape, scope: "website:conversation:sessions:write"},
	RouteSend:            {work: (*Crisp).postMessage, body: messageShape, scope: "website:conversation:messages:write"},
	RouteMessages:        {work: (*Crisp).getMessages, scope: "website:conversation:messages:read"},
	RouteMessage:         {work: (*Crisp).getMessage, scope: "website:conversation:messages:read"},
	RouteEdit:            {work: (*Crisp).patchMessage, body: contentShape, scope: "website:conversation:messages:write"},
	RouteRemoveMessage:   {work: (*Crisp).deleteMessage, scope: "website:conversation:messages:write"},
	RouteCompose:         {work: (*Crisp).patchCompose, body: composeShape, scope: "website:conversation:messages:write"},
	RouteRead:            {work: (*Crisp).patchRead, body: markShape, scope: "website:conversation:messages:write"},
	RouteUnread:          {work: (*Crisp).patchUnread, body: unreadShape, scope: "website:conversation:messages:write"},
	RouteDelivered:       {work: (*Crisp).patchDelivered, body: markShape, scope: "website:conversation:messages:write"},
	RouteState:           {work: (*Crisp).getState, scope: "website:conversation:states:read"},
	RoutePatchState:      {work: (*Crisp).patchState, body: stateShape, scope: "website:conversation:states:write"},
	RouteRouting:         {work: (*Crisp).getRouting, scope: "website:conversation:routing:read"},
	RoutePatchRouting:    {work: (*Crisp).patchRouting, body: routingShape, scope: "website:conversation:routing:write"},
	RoutePatchInbox:      {work: (*Crisp).patchInbox, body: inboxShape, scope: "website:conversation:sessions:write"},
	RouteBlock:           {work: (*Crisp).getBlock, scope: "website:conversation:actions:read"},
	RoutePatchBlock:      {work: (*Crisp).patchBlock, body: blockShape, scope: "website:conversation:actions:write"},
	RouteFeedback:        {work: (*Crisp).postFeedback},
	RouteWebsite:         {work: (*Crisp).getWebsite},
	RouteAvailability:    {work: (*Crisp).getAvailability, scope: "website:availability:read"},
	RouteAvailabilities:  {work: (*Crisp).getAvailabilities, scope: "website:operators:read"},
	RouteOperators:       {work: (*Crisp).getOperators, scope: "website:operators:read"},
	RouteConnectAccount:  {work: (*Crisp).getConnectAccount},
	RouteConnectSession:  {work: (*Crisp).headConnectSession},
	RouteConnectWebsites: {work: (*Crisp).getConnectWebsites},
}

// request is a call that found its route.
type request struct {
	CallInfo
	website     string
	sessionID   string
	fingerprint int64
	page        int
	query       url.Values
	uri         string
	raw         []byte                     // the body
	body        map[string]json.RawMessage // its members
	asOf        time.Time                  // reads answer what was true then; zero: now

	conversation *Conversation // that the route names
	seen         *snapshot     // what was true of it as of asOf
}

// placeholders are the names in routes with what may stand there.
var placeholders = map[string]*regexp.Regexp{
	"{sid}":         regexp.MustCompile(`^session_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`),
	"{fingerprint}": regexp.MustCompile(`^(0|-?[1-9][0-9]{0,18})$`), // negative ones are seen in live logs
	"{page}":        regexp.MustCompile(`^[0-9]{1,6}$`),
}

// find returns the request that r is, or why it is none. The path is taken as it was sent: an
// escaped or dotted id is no id.
func (c *Crisp) find(r *http.Request, body []byte) (*request, *answer) {
	refuse := func(a answer) (*request, *answer) { return nil, &a }
	path, found := strings.CutPrefix(r.URL.EscapedPath(), "/v1")
	if !found {
		return refuse(noRoute())
	}
	if a := c.authenticate(r); a != nil {
		return nil, a
	}
	q := &request{website: c.options.WebsiteID, query: r.URL.Query(), uri: r.URL.RequestURI(), raw: body}
	if rest, found := strings.CutPrefix(path, "/website/"); found {
		q.website, path, _ = strings.Cut(rest, "/")
		path = "/" + path
		if !uuids.MatchString(q.website) || strings.HasPrefix(path, "/plugin/") {
			return refuse(noRoute())
		}
	} else if !strings.HasPrefix(path, "/plugin/") {
		return refuse(noRoute())
	}
	q.Method = r.Method
	if !q.match(strings.Split(path, "/")) {
		return refuse(noRoute())
	}
	if !c.knows(q.website) {
		reason := "website_not_found"
		if c.options.Tier == "plugin" {
			reason = "not_subscribed"
		}
		return refuse(answer{status: http.StatusNotFound, reason: reason})
	}
	if strings.HasPrefix(path, "/plugin/") && c.options.Tier != "plugin" {
		return refuse(answer{status: http.StatusForbidden, reason: "restricted_route_tier"})
	}
	if len(body) > 0 && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return refuse(invalid(&complaint{message: "the Content-Type of a body should be application/json"}))
	}
	return q, nil
}

// match sets the route and the ids of q, if the path is one of the routes.
func (q *request) match(path []string) bool {
	for route := range routes {
		method, pattern, _ := strings.Cut(route, " ")
		if method == q.Method && q.matchOne(strings.Split(pattern, "/"), path) {
			q.Route = route
			return true
		}
	}
	return false
}

// matchOne compares a path with one pattern, and takes the ids out of it.
func (q *request) matchOne(pattern, path []string) bool {
	if len(pattern) != len(path) {
		return false
	}
	for i, want := range pattern {
		ids := placeholders[want]
		switch {
		case ids == nil && want != path[i]:
			return false
		case ids == nil:
		case !ids.MatchString(path[i]):
			return false
		case want == "{sid}":
			q.sessionID = path[i]
		case want == "{fingerprint}":
			q.fingerprint, _ = strconv.ParseInt(path[i], 10, 64)
		case want == "{page}":
			q.page, _ = strconv.Atoi(path[i])
		}
	}
	return true
}

// knows says whether the token reaches the website.
func (c *Crisp) knows(website string) bool {
	for _, id := range c.options.Websites {
		if id == website {
			return true
		}
	}
	return website == c.options.WebsiteID
}

// authenticate demands the token and its tier.
func (c *Crisp) authenticate(r *http.Request) *answer {
	refusal := answer{status: http.StatusUnauthorized, reason: "invalid_session"}
	identifier, key, basic := r.BasicAuth()
	tier := r.Header.Get("X-Crisp-Tier")
	switch {
	case !basic:
		refusal.violation = "no Authorization: Basic"
	case tier == "":
		refusal.violation = "no X-Crisp-Tier"
	case identifier == c.identifier && key == c.key && tier == c.options.Tier:
		return nil
	}
	return &refusal
}

// answer looks up the conversation, judges the body, and does the work. The caller holds the lock.
func (c *Crisp) answer(q *request) answer {
	route := routes[q.Route]
	if scopes := c.options.Scopes; scopes != nil && route.scope != "" && !slices.Contains(scopes, route.scope) {
		return answer{status: http.StatusForbidden, reason: "token_scope_forbidden"}
	}
	if q.sessionID != "" {
		v := c.bySession[q.sessionID]
		if v == nil || v.website != q.website {
			return notFound()
		}
		q.conversation, q.seen = v, v.at(q.asOf)
		if q.seen == nil || q.seen.removed {
			return notFound()
		}
	}
	if route.body != nil {
		if !json.Valid(q.raw) {
			return invalid(&complaint{message: "the body is not JSON"})
		}
		var c *complaint
		if q.body, c = route.body.read("", q.raw); c != nil {
			return invalid(c)
		}
	}
	return route.work(c, q)
}

// text returns a string of the body, "" where there is none.
func (q *request) text(name string) string {
	s, _ := asString(q.body[name])
	return s
}

// flag returns a boolean of the body, false where there is none.
func (q *request) flag(name string) bool { return string(q.body[name]) == "true" }

// millis returns a time in milliseconds out of the query; 0: not there.
func (q *request) millis(name string) (int64, *answer) {
	raw := q.query.Get(name)
	if raw == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil || n < 0 {
		a := invalid(&complaint{message: fmt.Sprintf("data.%s should be integer", name)})
		return 0, &a
	}
	return n, nil
}
