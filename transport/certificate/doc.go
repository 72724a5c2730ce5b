// Package certificate reads certificates from files and reads them again when the files change, so
// that a certificate is renewed without a restart: a new connection gets the new one, those that
// there are stay. A file that cannot be used changes nothing.
package certificate
