package handover

import (
	"slices"
	"strings"
)

// agentOf is who wrote a message. An avatar that is no web address is dropped.
func agentOf(m *EventMessage) Agent {
	a := Agent{ID: m.User.UserID, Name: m.User.Nickname, Avatar: m.User.Avatar}
	if !strings.HasPrefix(a.Avatar, "https://") && !strings.HasPrefix(a.Avatar, "http://") {
		a.Avatar = ""
	}
	return a
}

// agents are the people who wrote in a handover, the one who wrote last at the end.
type agents []Agent

// maxAgents bounds how many people of one handover are remembered.
const maxAgents = 64

// speaks notes who wrote, and reports whether it is another one than before.
func (all *agents) speaks(a Agent) (other bool) {
	i := all.find(a)
	other = i < 0 || i != len(*all)-1
	if i >= 0 {
		if known := (*all)[i]; a.ID == "" {
			a.ID = known.ID
		}
		*all = slices.Delete(*all, i, i+1)
	}
	*all = append((*all)[max(0, len(*all)+1-maxAgents):], a)
	return other
}

// find returns the place of a person, or -1. People write from several tools, not all of which say who
// they are: where an id is missing the name tells. Two ids are two people, whatever their names.
func (all agents) find(a Agent) int {
	byName := -1
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		switch {
		case a.ID != "" && a.ID == b.ID:
			return i
		case byName < 0 && (a.ID == "" || b.ID == "") && a.Name == b.Name:
			byName = i
		}
	}
	return byName
}
