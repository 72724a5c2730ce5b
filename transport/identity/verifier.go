package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"callboard/protocol"
)

// algorithms are those that a token may be signed by.
var algorithms = []string{"HS256", "RS256", "ES256", "EdDSA"}

// An Identity is what a token has proved.
type Identity struct {
	User    protocol.UserID
	Expires time.Time
	Token   TokenID // 0 if the token has no id, and cannot be revoked
}

// A Verifier verifies tokens. Any goroutine may call its methods.
type Verifier struct {
	config  Config
	issuers map[string]*issuer
	revoked atomic.Pointer[Revoked]

	renewed chan struct{} // the revoked ids are others; holds one

	files  sync.Mutex // held for moments; it guards what follows
	source Config     // whose files, URLs and revoked ids count
	seen   stamps     // what the files were when they were read
}

// issuer is an Issuer with its keys.
type issuer struct {
	Issuer
	parser *jwt.Parser
	keys   *keys
	key    jwt.Keyfunc // of keys
	remote *remote     // nil: the keys are in a file
}

// New makes a Verifier and reads its files. It takes tokens of issuers with a URL when
// Run has fetched their keys.
func New(config Config) (*Verifier, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	v := &Verifier{config: config, issuers: make(map[string]*issuer), renewed: make(chan struct{}, 1)}
	for _, given := range config.Issuers {
		if v.issuers[given.Name], err = newIssuer(given, &config); err != nil {
			return nil, fmt.Errorf("identity: issuer %q: %w", given.Name, err)
		}
	}
	commit, err := v.Prepare(config)
	if err != nil {
		return nil, err
	}
	commit()
	return v, nil
}

func newIssuer(given Issuer, config *Config) (*issuer, error) {
	i := &issuer{Issuer: given, keys: newKeys(given.KeyFile != "")}
	i.parser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithIssuer(given.Name), jwt.WithAudience(given.Audiences...),
		jwt.WithExpirationRequired(), jwt.WithLeeway(config.Leeway), jwt.WithStrictDecoding())
	var err error
	if i.key, err = i.keys.function(); err != nil {
		return nil, err
	}
	if given.KeyURL != "" {
		i.remote = newRemote(given, i.keys, config)
	}
	return i, nil
}

// Run keeps the keys and the revoked ids up to date until the context is done, and
// returns when everything that it started has ended. It calls changed for each new set
// of revoked ids, one call at a time, and again each second for the newest set until that
// returns no error. Whoever is revoked is let in no more meanwhile.
func (v *Verifier) Run(ctx context.Context, changed func(*Revoked) error) error {
	var running sync.WaitGroup
	for _, i := range v.issuers {
		if i.remote != nil {
			running.Go(func() { i.remote.run(ctx) })
		}
	}
	v.watch(ctx, changed)
	running.Wait()
	return nil
}

// Verify returns whom a token is for, or why it does not let its bearer in, a *RefusedError.
// If the keys have to be fetched for that, it waits, until the context is done at most.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	id, i, err := v.check(token)
	if i == nil || !errors.Is(err, errNoKey) {
		return id, public(err)
	}
	certain, refusal := i.fetched(ctx)
	if refusal != nil {
		return Identity{}, refusal
	}
	id, _, err = v.check(token)
	if errors.Is(err, errNoKey) && !certain { // it may have come to the issuer since
		return Identity{}, unavailable(v.config.MinRefresh)
	}
	return id, public(err)
}

// Check is Verify without waiting: a token whose key would have to be fetched first is
// refused as unavailable, and the fetching begins.
func (v *Verifier) Check(token string) (Identity, error) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	return v.Verify(done, token)
}

// errNoKey: the issuer has no key, or none that the token names, among those at hand.
var errNoKey = errors.New("no key")

// public is the error that a caller may see.
func public(err error) error {
	if errors.Is(err, errNoKey) {
		return errKey
	}
	return err
}

// check verifies a token with the keys that are at hand. The error is a *RefusedError, or
// errNoKey; then the issuer comes too.
func (v *Verifier) check(token string) (Identity, *issuer, error) {
	if len(token) > protocol.MaxTokenBytes {
		return Identity{}, nil, errTooLong
	}
	// Who is said to have issued it says whose keys to try. Nothing is believed yet.
	var hint jwt.RegisteredClaims
	if _, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(token, &hint); err != nil && hint.Issuer == "" {
		return Identity{}, nil, refusalOf(err)
	}
	i := v.issuers[hint.Issuer]
	if i == nil {
		return Identity{}, nil, errIssuer
	}
	if i.remote != nil && !i.remote.usable() {
		return Identity{}, i, errNoKey
	}
	var claims jwt.RegisteredClaims
	parsed, err := i.parser.ParseWithClaims(token, &claims, i.key)
	switch {
	case errors.Is(err, jwkset.ErrKeyNotFound):
		return Identity{}, i, errNoKey
	case err != nil:
		return Identity{}, nil, refusalOf(err)
	}
	if _, critical := parsed.Header["crit"]; critical { // RFC 7515, 4.1.11: whoever does not know it refuses
		return Identity{}, nil, errCritical
	}
	user, err := protocol.ParseClientID(claims.Subject)
	switch {
	case claims.Subject == string(protocol.System):
		return Identity{}, nil, errSystem
	case err != nil:
		return Identity{}, nil, errSubject
	}
	id := Identity{User: user, Expires: claims.ExpiresAt.Time, Token: NewTokenID(claims.ID)}
	if v.IsRevoked(id.Token) {
		return Identity{}, nil, ErrRevoked
	}
	return id, nil, nil
}

// fetched returns no refusal when the issuer's keys have been fetched anew, or cannot be. certain is whether
// a key that is not there now was not there when it was asked for.
func (i *issuer) fetched(ctx context.Context) (certain bool, refusal *RefusedError) {
	if i.remote == nil {
		return true, nil
	}
	return i.remote.fetched(ctx)
}
