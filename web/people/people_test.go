package people

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

const day = int64(24 * 3600 * 1e9)

func must(t *testing.T, b *Book, now int64, c Change) Done {
	t.Helper()
	d, err := b.Apply(now, c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.Verb, c.Name, err)
	}
	return d
}

func user(name, role string) Change {
	return Change{Verb: AddUser, Name: name, Access: Access{Role: role}, Hash: "$hash-" + name, By: "root"}
}

func TestChanges(t *testing.T) {
	b := NewBook()
	must(t, b, 10, user("ada", Admin))
	must(t, b, 11, user("otto", Operator))
	d := must(t, b, 12, Change{Verb: SetRole, Name: "otto", Access: Access{Role: Viewer, Areas: map[string]string{"north": Engineer}}, By: "ada"})
	if d.Old != "operator" || d.New != "viewer (north=engineer)" || len(d.State.Users) != 1 || d.State.Users[0].By != "ada" {
		t.Errorf("%+v", d)
	}
	if u, _ := b.User("otto"); u.Hash != "$hash-otto" || u.Areas["north"] != Engineer {
		t.Errorf("the role took more than the role: %+v", u)
	}
	must(t, b, 13, Change{Verb: SetPassword, Name: "otto", Hash: "$new", MustChange: true})
	must(t, b, 14, Change{Verb: Lock, Name: "otto"})
	if u, _ := b.User("otto"); !u.Locked || !u.MustChange || u.Hash != "$new" {
		t.Errorf("%+v", u)
	}
	must(t, b, 15, Change{Verb: Unlock, Name: "otto"})
	must(t, b, 16, Change{Verb: RemoveUser, Name: "otto"})
	if _, ok := b.User("otto"); ok || len(b.State().Users) != 2 || b.State().Users[1].Hash != "" {
		t.Errorf("removed: %+v", b.State())
	}
	must(t, b, 5, user("otto", Viewer)) // the clock was set back, and he comes again
	if u, ok := b.User("otto"); !ok || u.Changed != 17 {
		t.Errorf("%+v", u)
	}
}

func TestRefusedChanges(t *testing.T) {
	b := NewBook()
	b.Declare([]User{{Name: "file", Access: Access{Role: Operator}, Hash: "$h"}}, []Token{{Name: "script", Access: Access{Role: Viewer}}})
	must(t, b, 10, user("ada", Admin))
	hash := strings.Repeat("ab", 32)
	must(t, b, 10, Change{Verb: CreateToken, Name: "tok", Access: Access{Role: Viewer}, Hash: hash})
	for _, c := range []struct {
		change Change
		want   error
		says   string
	}{
		{Change{Verb: RemoveUser, Name: "ada"}, ErrRefused, "last administrator"},
		{Change{Verb: Lock, Name: "ada"}, ErrRefused, "last administrator"},
		{Change{Verb: SetRole, Name: "ada", Access: Access{Role: Engineer}}, ErrRefused, "last administrator"},
		{Change{Verb: RemoveUser, Name: "file"}, ErrRefused, "declared in the plant file"},
		{Change{Verb: SetPassword, Name: "file", Hash: "$x"}, ErrRefused, "declared in the plant file"},
		{Change{Verb: RevokeToken, Name: "script"}, ErrRefused, "declared in the plant file"},
		{Change{Verb: CreateToken, Name: "script", Access: Access{Role: Admin}, Hash: hash}, ErrRefused, "declared"},
		{Change{Verb: CreateToken, Name: "tok", Access: Access{Role: Viewer}, Hash: hash}, ErrRefused, "already"},
		{Change{Verb: CreateToken, Name: "late", Access: Access{Role: Viewer}, Hash: hash, Expires: 9}, ErrBadInput, "expired"},
		{Change{Verb: CreateToken, Name: "plain", Access: Access{Role: Viewer}, Hash: "secret"}, ErrBadInput, "not that of a token"},
		{Change{Verb: CreateToken, Name: "king", Access: Access{Role: "king"}, Hash: hash}, ErrBadInput, "want one of"},
		{user("ada", Viewer), ErrRefused, "already"},
		{user("file", Viewer), ErrRefused, "already"},
		{user("", Viewer), ErrBadInput, "name"},
		{user("../x", Viewer), ErrBadInput, "name"},
		{user("a\nb", Viewer), ErrBadInput, "name"},
		{user(strings.Repeat("x", MaxName+1), Viewer), ErrBadInput, "name"},
		{user("bob", "king"), ErrBadInput, "want one of"},
		{Change{Verb: AddUser, Name: "bob", Access: Access{Role: Viewer}}, ErrBadInput, "password"},
		{Change{Verb: SetPassword, Name: "ada"}, ErrBadInput, "password"},
		{Change{Verb: Lock, Name: "nobody"}, ErrUnknown, "no user"},
		{Change{Verb: RevokeToken, Name: "nothing"}, ErrUnknown, "no token"},
		{Change{Verb: "promote", Name: "ada"}, ErrBadInput, "promote"},
	} {
		if _, err := b.Apply(20, c.change); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.change, err)
		}
	}
	must(t, b, 20, user("eva", Admin))
	must(t, b, 21, Change{Verb: RemoveUser, Name: "ada"})
	must(t, b, 22, Change{Verb: Lock, Name: "file"})
	if u, _ := b.User("file"); !u.Locked || u.Hash != "$h" || u.Role != Operator {
		t.Errorf("a lock of a declared user: %+v", u)
	}
}

func TestBooksAreBounded(t *testing.T) {
	b := NewBook()
	for i := range MaxUsers {
		must(t, b, 10, user(fmt.Sprintf("u%d", i), Admin))
	}
	if _, err := b.Apply(11, user("one-more", Viewer)); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
	must(t, b, 12, Change{Verb: RemoveUser, Name: "u1"})
	must(t, b, 13, user("u1", Viewer)) // in the place of its own mark
	must(t, b, 14, Change{Verb: RemoveUser, Name: "u1"})
	must(t, b, 15+int64(forgetAfter), user("one-more", Viewer)) // the mark is gone
}

// TestBooksBecomeEqual changes two books apart and exchanges what they have in any order.
func TestBooksBecomeEqual(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		books := []*Book{NewBook(), NewBook()}
		now := int64(100)
		for range 40 {
			now += r.Int64N(2) // often the same moment
			c := Change{Verb: []string{AddUser, RemoveUser, SetPassword, SetRole, Lock, Unlock, CreateToken, RevokeToken}[r.IntN(8)],
				Name: fmt.Sprint("n", r.IntN(4)), Access: Access{Role: roles[r.IntN(4)]}, Hash: strings.Repeat(fmt.Sprintf("%x", r.IntN(16)), 64), By: fmt.Sprint("by", r.IntN(2))}
			i := r.IntN(2)
			_, _ = books[i].Apply(now, c) // refusals too
			if r.IntN(6) == 0 {
				if _, err := books[1-i].Merge(now, books[i].State()); err != nil {
					t.Fatal(err)
				}
			}
		}
		states := []State{books[0].State(), books[1].State()}
		for i, b := range books {
			for range 2 { // twice is once
				if _, err := b.Merge(now, states[1-i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !reflect.DeepEqual(books[0].State(), books[1].State()) || books[0].Digest() != books[1].Digest() {
			t.Fatalf("seed %d:\n%+v\n%+v", seed, books[0].State(), books[1].State())
		}
		if changed, _ := books[0].Merge(now, books[1].State()); changed {
			t.Fatalf("seed %d: equal books changed", seed)
		}
	}
}

func TestMergeRefusesWhatIsNotInOrder(t *testing.T) {
	good := User{Name: "eva", Access: Access{Role: Admin}, Hash: "$h", Changed: 10}
	for name, u := range map[string]User{
		"name":   {Name: "a b", Access: Access{Role: Admin}, Hash: "$h", Changed: 10},
		"role":   {Name: "x", Access: Access{Role: "root"}, Hash: "$h", Changed: 10},
		"future": {Name: "x", Access: Access{Role: Admin}, Hash: "$h", Changed: 11 + 2*day},
		"past":   {Name: "x", Access: Access{Role: Admin}, Hash: "$h"},
		"hash":   {Name: "x", Access: Access{Role: Admin}, Hash: strings.Repeat("h", maxHash+1), Changed: 10},
	} {
		b := NewBook()
		if changed, err := b.Merge(11, State{Users: []User{good, u}}); err == nil || changed || len(b.Users()) != 0 {
			t.Errorf("%s: %v %v", name, changed, err)
		}
	}
	if _, err := NewBook().Merge(11, State{Tokens: []Token{{Name: "t", Access: Access{Role: Admin}, Hash: "plain", Changed: 10}}}); err == nil {
		t.Error("a token in the clear was taken")
	}
}

func TestFirstAdmin(t *testing.T) {
	b := NewBook()
	name, added := b.FirstAdmin("$one-time")
	if u, _ := b.User("admin"); !added || name != "admin" || !u.MustChange || u.Role != Admin {
		t.Fatalf("%v %v %+v", name, added, u)
	}
	if _, again := b.FirstAdmin("$x"); again {
		t.Error("a second first administrator")
	}
	other := NewBook() // the other node knows the plant's administrator of the same name
	must(t, other, 50, user("admin", Admin))
	if _, err := b.Merge(60, other.State()); err != nil {
		t.Fatal(err)
	}
	if u, _ := b.User("admin"); u.Hash != "$hash-admin" || u.MustChange {
		t.Errorf("the first start won against the plant's own: %+v", u)
	}
	taken := NewBook()
	taken.Declare([]User{{Name: "admin", Access: Access{Role: Viewer}, Hash: "$h"}}, nil)
	if name, added := taken.FirstAdmin("$x"); name != "admin2" || !added {
		t.Errorf("%s %v", name, added)
	}
}
