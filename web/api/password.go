package api

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

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
