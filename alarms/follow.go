package alarms

// Follow replaces the configuration on the standby: the state of conditions and tags survives by name. The outcome of the
// active's [Engine.Reload] comes next and tells the rest, what was closed included. An invalid configuration changes
// nothing.
func (e *Engine) Follow(cfg Config, tags TagLookup) error {
	_, err := e.reconfigure(cfg, tags, nil)
	return err
}
