package people

import (
	"encoding/json"
	"testing"
)

// FuzzMerge takes over the records of a file or another node: what is taken is in order, taking it again changes nothing,
// and a book that takes it from this one is equal.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"users":[{"name":"ada","role":"admin","hash":"$h","changed":10}],"tokens":[{"name":"t","role":"viewer","hash":"x","changed":5}]}`))
	f.Add([]byte(`{"users":[{"name":"ada","removed":true,"changed":10},{"name":"ada","role":"viewer","hash":"$h","changed":11,"areas":{"north":"operator"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var state State
		if json.Unmarshal(text, &state) != nil {
			return
		}
		const now = 1_000_000
		b := NewBook()
		if _, err := b.Merge(now, state); err != nil {
			if len(b.Users()) > 0 {
				t.Fatal("a part of what is not in order was taken")
			}
			return
		}
		for _, u := range b.Users() {
			if !isName(u.Name) || u.Access.check() != nil {
				t.Fatalf("taken: %+v", u)
			}
		}
		digest := b.Digest()
		if changed, err := b.Merge(now, state); changed || err != nil {
			t.Fatalf("a second time: %v %v", changed, err)
		}
		other := NewBook()
		if _, err := other.Merge(now, b.State()); err != nil || other.Digest() != digest {
			t.Fatalf("the other book differs: %v", err)
		}
	})
}
