package web

import (
	"maps"
	"slices"

	"scada/web/api"
)

// In returns the role in an area; of no area, that in the whole plant.
func (a Actor) In(area string) Role {
	if r, own := a.Areas[area]; own {
		return r
	}
	return a.Role
}

// May reports whether the permission is granted in an area. What concerns no area, or all of them, needs the role in the
// whole plant: area is empty then.
func (a Actor) May(p Permission, area string) bool { return a.In(area).May(p) }

// somewhere reports whether the permission is granted in the whole plant or in one area at least. What it lets through
// asks [Actor.May] for the area it is about.
func (a Actor) somewhere(p Permission) bool {
	for _, r := range a.Areas {
		if r.May(p) {
			return true
		}
	}
	return a.Role.May(p)
}

// Refuse returns the refusal of a permission in an area, nil when it is granted.
func (a Actor) Refuse(p Permission, area string) error {
	if a.May(p, area) {
		return nil
	}
	if area == "" {
		return api.NewProblem(api.CodeForbidden, "%s needs more than the role %s", p, a.Role)
	}
	return api.NewProblem(api.CodeForbidden, "%s in area %s needs more than the role %s", p, area, a.In(area))
}

// permissions returns the names of everything that may be done somewhere, in a fixed order.
func (a Actor) permissions() []string {
	var names []string
	for _, p := range []Permission{View, TagWrite, AlarmOperate, AlarmEngineer, RoleChange, AppDeploy, PeopleAdmin} {
		if !a.MustChange && a.somewhere(p) {
			names = append(names, string(p))
		}
	}
	return names
}

// areaRoles are the roles in areas by name.
func (a Actor) areaRoles() map[string]string {
	if len(a.Areas) == 0 {
		return nil
	}
	out := make(map[string]string, len(a.Areas))
	for area, r := range a.Areas {
		out[area] = r.String()
	}
	return out
}

// access is what the account gives to who proves to be its owner.
func (acc account) actor(user, address string) Actor {
	return Actor{User: user, Role: acc.role, Areas: acc.areas, Remote: address, MustChange: acc.mustChange}
}

// same reports whether a session of one account may go on under the other.
func (acc account) same(b account) bool {
	return acc.role == b.role && maps.Equal(acc.areas, b.areas) && acc.locked == b.locked && acc.mustChange == b.mustChange && slices.Equal(acc.federated, b.federated)
}

// ActorOf returns what a user may do now, for doors that have found out by themselves who he is.
func (s *Server) ActorOf(user, address string) (Actor, bool) {
	acc, ok := s.accounts.Load().users.byName[user]
	if !ok || acc.locked || acc.mustChange {
		return Actor{}, false
	}
	return acc.actor(user, address), true
}
