package api

import (
	"strings"
	"testing"
)

func TestPasswordHashes(t *testing.T) {
	text, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParsePasswordHash(text)
	if err != nil || !h.Matches("correct horse") || h.Matches("correct hors") {
		t.Errorf("%s: %v", text, err)
	}
	for _, p := range []string{"short", strings.Repeat("x", MaxPassword+1)} {
		if _, err := HashPassword(p); err == nil {
			t.Errorf("a password of %d bytes was taken", len(p))
		}
	}
	for _, bad := range []string{"", "plain", strings.Replace(text, "argon2id", "argon2i", 1), strings.Replace(text, "m=19456", "m=999999", 1),
		strings.Replace(text, "t=2", "t=99", 1), text + "$", strings.Replace(text, "$m=", "$n=", 1)} {
		if _, err := ParsePasswordHash(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func FuzzParsePasswordHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := ParsePasswordHash(text); err == nil && (h.memoryKiB > maxArgonKiB || len(h.Key) > maxArgonKey) {
			t.Fatalf("%+v", h)
		}
	})
}
