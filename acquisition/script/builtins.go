package script

import (
	"fmt"
	"slices"

	"go.starlark.net/starlark"

	"scada/acquisition/tag"
)

// Effects is what a call wants done.
type Effects struct {
	Outputs []Output
	Writes  []Write
	Logs    []string
	State   []byte // the new state as JSON; nil when the call has not changed it
	Steps   uint64 // how much work it was
}

// Output is a new value of a tag of the application's own.
type Output struct {
	Tag     string
	Value   tag.Value // none: the tag has no value
	Quality tag.Quality
}

// Write is a value to be written to a device.
type Write struct {
	Tag   string
	Value tag.Value
}

// log notes a line; what is too long is cut, what is too many is counted out loud once.
func (e *Effects) log(text string) {
	switch {
	case len(e.Logs) < MaxLogs:
		e.Logs = append(e.Logs, text[:min(len(text), MaxLogBytes)])
	case len(e.Logs) == MaxLogs:
		e.Logs = append(e.Logs, fmt.Sprintf("more than %d lines in one call: the rest is not kept", MaxLogs))
	}
}

// names are the functions given to the application.
func (i *Instance) names() starlark.StringDict {
	env := common()
	for name, fn := range map[string]func(*starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error){
		"tag": i.tag, "sample": i.sample, "output": i.output, "write": i.write, "log": i.log, "now": i.now, "first_scan": i.firstScan,
	} {
		env[name] = starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return fn(b, args, kwargs)
		})
	}
	return env
}

func (i *Instance) read(name string) (tag.Sample, error) {
	if !slices.Contains(i.env.Inputs, name) {
		return tag.Sample{}, fmt.Errorf("tag %q is not an input of the application", name)
	}
	if i.call.Read == nil {
		return tag.Sample{}, fmt.Errorf("tag %q cannot be read here: only in on_change and on_timer", name)
	}
	return i.call.Read(name), nil
}

// tag(name) is the value, None while the tag is bad.
func (i *Instance) tag(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	s, err := i.read(name)
	if err != nil || s.Quality.IsBad() {
		return starlark.None, err
	}
	return fromTag(s.Value), nil
}

// sample(name) is the whole sample.
func (i *Instance) sample(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	s, err := i.read(name)
	if err != nil {
		return nil, err
	}
	return sampleValue{s}, nil
}

// output(name, value, quality="Good") sets a tag of the application; None makes it bad unless a quality says more.
func (i *Instance) output(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name, quality string
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "value", &v, "quality?", &quality); err != nil {
		return nil, err
	}
	t, ok := i.env.Outputs[name]
	if !ok {
		return nil, fmt.Errorf("tag %q is not an output of the application", name)
	}
	if len(i.effects.Outputs) >= MaxOutputs {
		return nil, fmt.Errorf("more than %d outputs in one call", MaxOutputs)
	}
	out := Output{Tag: name, Quality: tag.Good}
	if v == starlark.None {
		out.Quality = tag.BadNoData
	} else {
		var err error
		if out.Value, err = toTag(v, t); err != nil {
			return nil, fmt.Errorf("tag %q: %w", name, err)
		}
	}
	if quality != "" {
		q, known := tag.ParseQuality(quality)
		if !known {
			return nil, fmt.Errorf("tag %q: %q is not a quality", name, quality)
		}
		if v == starlark.None && !q.IsBad() {
			return nil, fmt.Errorf("tag %q: no value cannot be %s", name, quality)
		}
		out.Quality = q
	}
	i.effects.Outputs = append(i.effects.Outputs, out)
	return starlark.None, nil
}

// write(name, value) asks for a write to a device, as an operator would.
func (i *Instance) write(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "value", &v); err != nil {
		return nil, err
	}
	t, ok := i.env.Writable[name]
	if !ok {
		return nil, fmt.Errorf("tag %q is not one the application may write", name)
	}
	if len(i.effects.Writes) >= MaxWrites {
		return nil, fmt.Errorf("more than %d writes in one call", MaxWrites)
	}
	value, err := toTag(v, t)
	if err != nil {
		return nil, fmt.Errorf("tag %q: %w", name, err)
	}
	i.effects.Writes = append(i.effects.Writes, Write{Tag: name, Value: value})
	return starlark.None, nil
}

// log(text) writes a line of the application's log; print does the same.
func (i *Instance) log(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var text string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "text", &text); err != nil {
		return nil, err
	}
	i.effects.log(text)
	return starlark.None, nil
}

// now() is the instant of the call: it stands still while the call runs.
func (i *Instance) now(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	return seconds(i.call.At), nil
}

// first_scan() is true in the first call after a start, a take-over or a deployment.
func (i *Instance) firstScan(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	return starlark.Bool(i.call.First), nil
}

// tagsValue is the parameter tags: tags["name"] is a sample, iterating gives the names of the inputs.
type tagsValue struct{ i *Instance }

var (
	_ starlark.Mapping  = tagsValue{}
	_ starlark.Iterable = tagsValue{}
)

func (t tagsValue) String() string        { return "tags" }
func (t tagsValue) Type() string          { return "tags" }
func (t tagsValue) Freeze()               {}
func (t tagsValue) Truth() starlark.Bool  { return len(t.i.env.Inputs) > 0 }
func (t tagsValue) Hash() (uint32, error) { return 0, fmt.Errorf("tags cannot be a key") }

// Get implements starlark.Mapping.
func (t tagsValue) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, ok := k.(starlark.String)
	if !ok {
		return nil, false, fmt.Errorf("the name of a tag is a text, not a %s", k.Type())
	}
	s, err := t.i.read(string(name))
	if err != nil {
		return nil, false, err
	}
	return sampleValue{s}, true, nil
}

// Iterate implements starlark.Iterable.
func (t tagsValue) Iterate() starlark.Iterator {
	names := make([]starlark.Value, len(t.i.env.Inputs))
	for k, n := range t.i.env.Inputs {
		names[k] = starlark.String(n)
	}
	return starlark.NewList(names).Iterate()
}
