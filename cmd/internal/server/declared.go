package server

import (
	"errors"

	"scada/cmd/internal/config"
	"scada/web"
	"scada/web/people"
)

// errPeople is why a change of the configuration is refused to an engineer.
var errPeople = errors.New("users or tokens differ: only an administrator of the whole plant may change them")

// mayChange refuses a configuration with other users to who may not change users: an engineer could make himself more.
func (c *configurator) mayChange(cfg *config.Config, o order) error {
	if !o.people && config.Compare(c.s.now().cfg, cfg).People() {
		return errPeople
	}
	return nil
}

// checkDeclared reports why the users a configuration declares could not log in.
func checkDeclared(cfg *config.Config) error {
	users, tokens := declared(cfg)
	r := &roster{book: people.NewBook()}
	r.book.Declare(users, tokens)
	list, keys, err := r.accounts()
	if err != nil {
		return err
	}
	return web.CheckAccounts(list, keys)
}

// revise takes over the users another configuration declares. The sessions of those that are gone or changed end.
func (r *roster) revise(cfg *config.Config) {
	r.declare(cfg)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.tell(); err != nil {
		r.s.log.Error("The users of a changed configuration are not taken over", "error", err) // they were checked before
	}
}
