package identity

import "fmt"

// Prepare reads the files that a configuration names. commit puts them in force, with its revoked
// ids and the URLs of its keys, which are fetched at once: until that has worked the keys
// that there were count. The other fields have to be those of New. An error changes nothing.
func (v *Verifier) Prepare(next Config) (commit func(), err error) {
	seen := next.stamps() // before they are read: what changes meanwhile is read again
	ready := make(map[*issuer]*readFile)
	for n := range next.Issuers {
		given := &next.Issuers[n]
		i := v.issuers[given.Name]
		if err := given.validate(); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		if i == nil || (i.remote == nil) != (given.KeyURL == "") {
			return nil, fmt.Errorf("identity: issuer %q is new, or has its keys elsewhere now, in a file or at a URL: that takes a restart", given.Name)
		}
		if i.remote != nil {
			continue
		}
		if ready[i], err = i.readKeys(given.KeyFile); err != nil {
			return nil, fmt.Errorf("identity: issuer %q: %w", i.Name, &FileError{given.KeyFile, err})
		}
	}
	revoked, err := next.readRevoked()
	if err != nil {
		return nil, fmt.Errorf("identity: %w", &FileError{next.RevokedFile, err})
	}
	return func() {
		v.files.Lock()
		defer v.files.Unlock()
		v.source, v.seen = next, seen
		for i, read := range ready {
			i.take(read)
		}
		for n := range next.Issuers {
			if r := v.issuers[next.Issuers[n].Name].remote; r != nil {
				r.from(next.Issuers[n].KeyURL)
			}
		}
		v.revoked.Store(revoked)
		select {
		case v.renewed <- struct{}{}:
		default: // it has been told
		}
	}, nil
}

// A FileError says what is wrong with a file that the configuration names.
type FileError struct {
	File string // empty: it is the list of revoked ids in the configuration itself
	Err  error
}

// Error implements error.
func (f *FileError) Error() string { return f.Err.Error() }

// Unwrap is for errors.Is.
func (f *FileError) Unwrap() error { return f.Err }
