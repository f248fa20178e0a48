package api

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a password hash: 19 MiB and two passes, about 30 ms. The least that OWASP recommends for argon2id, as a
// small controller PC may have to do it while it polls a plant.
const (
	argonMemoryKiB = 19 << 10
	argonPasses    = 2
	argonThreads   = 1
	argonSalt      = 16 // bytes
	argonKey       = 32 // bytes

	// MinPassword and MaxPassword bound the length of a password in bytes.
	MinPassword = 8
	MaxPassword = 256
)

// HashPassword returns the argon2id hash of a password in the form the configuration takes.
func HashPassword(password string) (string, error) {
	if len(password) < MinPassword || len(password) > MaxPassword {
		return "", fmt.Errorf("a password has %d to %d bytes, this one %d", MinPassword, MaxPassword, len(password))
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemoryKiB, argonPasses, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Bounds of what a hash in the configuration may ask for.
const (
	maxArgonKiB    = 256 << 10
	maxArgonPasses = 16
	maxArgonKey    = 64 // bytes
)

// PasswordHash is an argon2id hash taken apart.
type PasswordHash struct {
	memoryKiB, passes uint32
	threads           uint8
	salt              []byte
	Key               []byte // what is kept of the password
}

// ParsePasswordHash takes a hash apart in the form [HashPassword] makes, with its own cost within bounds.
func ParsePasswordHash(s string) (PasswordHash, error) {
	var h PasswordHash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, fmt.Errorf("not an argon2id hash ($argon2id$v=%d$m=…,t=…,p=…$salt$key)", argon2.Version)
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memoryKiB, &h.passes, &h.threads); n != 3 || err != nil {
		return h, fmt.Errorf("argon2id cost %q is not m=…,t=…,p=…", parts[3])
	}
	if h.memoryKiB < 8 || h.memoryKiB > maxArgonKiB || h.passes < 1 || h.passes > maxArgonPasses || h.threads < 1 {
		return h, fmt.Errorf("argon2id cost %q is out of bounds (m 8 to %d KiB, t 1 to %d)", parts[3], maxArgonKiB, maxArgonPasses)
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 {
		return h, errors.New("argon2id salt is not base64 of 8 bytes or more")
	}
	if h.Key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.Key) < 16 || len(h.Key) > maxArgonKey {
		return h, fmt.Errorf("argon2id key is not base64 of 16 to %d bytes", maxArgonKey)
	}
	return h, nil
}

// Matches reports whether a password has this hash.
func (h PasswordHash) Matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.passes, h.memoryKiB, h.threads, uint32(len(h.Key)))
	return subtle.ConstantTimeCompare(key, h.Key) == 1
}
