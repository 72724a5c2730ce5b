package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"callboard/transport/identity"
)

// forgedLife is how long a forged token claims to last: longer than any storm.
const forgedLife = 24 * time.Hour

// forge makes a development token for user 1 with a key that no service has. It is like a genuine one in all but
// the signature, so that a service with --identity-development has to check that to refuse it.
func forge() (string, error) {
	folder, err := os.MkdirTemp("", "callboard-bench-")
	if err != nil {
		return "", fmt.Errorf("forging a token: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }() // a key that is good for nothing
	key := filepath.Join(folder, "key")
	if _, err := identity.MakeKey(key); err != nil {
		return "", fmt.Errorf("forging a token: %w", err)
	}
	return identity.Sign(key, "1", forgedLife)
}
