package web

import "fmt"

// Role is what a user may do; a higher one includes the lower ones.
type Role uint8

// The roles of users.
const (
	Nobody Role = iota
	Viewer
	Operator
	Engineer
	Admin
)

var roleNames = [...]string{"nobody", "viewer", "operator", "engineer", "admin"}

// String returns the name of the role in the configuration.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole returns the role with the given configuration name.
func ParseRole(s string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if roleNames[r] == s {
			return r, nil
		}
	}
	return Nobody, fmt.Errorf("unknown role %q (one of viewer, operator, engineer, admin)", s)
}

// Permission names one thing that may be done. Every route and every command of the socket has one.
type Permission string

// The permissions.
const (
	// Anonymous needs no log-in: health checks, the log-in itself, and the files of the dashboard.
	Anonymous     Permission = "anonymous"
	View          Permission = "view"
	Own           Permission = "own" // one's own session and password, also while the password must be changed
	JournalVerify Permission = "journal.verify"
	PeopleAdmin   Permission = "people.change"
	TagWrite      Permission = "tag.write"
	AlarmOperate  Permission = "alarm.operate"  // acknowledge, shelve, reset, comment
	AlarmEngineer Permission = "alarm.engineer" // out of service
	RoleChange    Permission = "role.change"
	AppDeploy     Permission = "app.deploy"
	BackupTake    Permission = "backup.take"
	DeviceExamine Permission = "device.test"    // requests of its own to a device
	HistoryChange Permission = "history.change" // import, verify, repair
	ConfigDeploy  Permission = "config.deploy"  // look at, check and change the configuration
)

// needs lists the lowest role that has a permission. A permission that is not here is nobody's.
var needs = map[Permission]Role{
	ConfigDeploy: Engineer,
	Anonymous:    Nobody, View: Viewer, Own: Viewer, PeopleAdmin: Admin, JournalVerify: Engineer, TagWrite: Operator, AlarmOperate: Operator, AlarmEngineer: Engineer, RoleChange: Admin, AppDeploy: Engineer, BackupTake: Admin, DeviceExamine: Engineer, HistoryChange: Engineer,
}

// May reports whether the role has the permission.
func (r Role) May(p Permission) bool {
	least, known := needs[p]
	return known && r >= least
}
