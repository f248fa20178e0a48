package app

import (
	"fmt"
	"time"

	"scada/acquisition/script"
)

// do carries out a call, and abandons it when it does not end: the interpreter can be stopped between two operations, not
// in one. An abandoned call has no effects, whatever it does.
func (r *runner) do(i *script.Instance, c script.Call) (script.Effects, error) {
	type result struct {
		out script.Effects
		err error
	}
	done, ended := make(chan result, 1), make(chan struct{})
	go func() {
		defer close(ended)
		out, err := i.Do(c)
		done <- result{out, err}
	}()
	limit := time.NewTimer(callLimit)
	defer limit.Stop()
	select {
	case got := <-done:
		return got.out, got.err
	case <-limit.C:
		i.Cancel(fmt.Sprintf("the call took longer than %s", callLimit))
	}
	limit.Reset(r.engine.hang)
	select {
	case got := <-done:
		return got.out, got.err
	case <-limit.C:
		return script.Effects{}, r.abandon(ended)
	}
}

// load starts an instance. What stands at the top of a source is executed with it, within the steps of a call.
func (r *runner) load(program *script.Program, state []byte, migrate bool) (*script.Instance, error) {
	type result struct {
		i   *script.Instance
		err error
	}
	done, ended := make(chan result, 1), make(chan struct{})
	go func() {
		defer close(ended)
		i, err := program.New(r.app.env, state, migrate)
		done <- result{i, err}
	}()
	limit := time.NewTimer(callLimit + r.engine.hang)
	defer limit.Stop()
	select {
	case got := <-done:
		return got.i, got.err
	case <-limit.C:
		return nil, r.abandon(ended)
	}
}

// abandon leaves a call to itself.
func (r *runner) abandon(ended <-chan struct{}) error {
	a := r.app
	a.set(func() { a.hanging = ended })
	r.engine.log.Error("A call of an application does not come to an end and is abandoned", "app", a.spec.Name, "after", callLimit+r.engine.hang)
	return ErrHanging
}

// hangs reports whether an abandoned call still goes on.
func (a *Application) hangs() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hanging == nil {
		return false
	}
	select {
	case <-a.hanging:
		a.hanging = nil
		return false
	default:
		return true
	}
}
