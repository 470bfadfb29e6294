package handovertest

import "fmt"

func (c *Crisp) getWebsite(q *request) answer {
	return ok(map[string]any{
		"website_id": q.website, "name": "Fake website", "domain": "website.invalid", "logo": nil,
	})
}

func (c *Crisp) getAvailability(*request) answer {
	return ok(map[string]any{"status": c.availability, "since": c.since})
}

// getAvailabilities says of every operator what the website says of all.
func (c *Crisp) getAvailabilities(*request) answer {
	all := []any{}
	for _, p := range c.operators {
		all = append(all, map[string]any{
			"user_id": p.id, "type": c.availability, "time": map[string]any{"for": 300, "since": c.since},
		})
	}
	return listed(all)
}

func (c *Crisp) getOperators(*request) answer {
	all := []any{}
	for i, p := range c.operators {
		all = append(all, map[string]any{"type": "operator", "details": map[string]any{
			"user_id": p.id, "first_name": p.name, "last_name": "", "role": "member", "title": "",
			"email": fmt.Sprintf("operator%d@website.invalid", i), "avatar": p.avatar,
			"availability": c.availability, "has_token": false,
		}})
	}
	return listed(all)
}

func (c *Crisp) getConnectAccount(*request) answer {
	return ok(map[string]any{"plugin_id": c.pluginID})
}

func (c *Crisp) headConnectSession(*request) answer { return ok(nil) }

func (c *Crisp) getConnectWebsites(q *request) answer {
	all := []any{}
	if q.page <= 1 {
		for _, id := range append([]string{c.options.WebsiteID}, c.options.Websites...) {
			all = append(all, map[string]any{"website_id": id, "token": c.pluginID, "settings": map[string]any{}})
		}
	}
	return listed(all)
}
