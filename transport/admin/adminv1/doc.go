// Package adminv1 is the contract between a Callboard service and its operators:
// version 1 of the admin API, generated from admin.proto. Client and server are of
// connect-go; package admin serves it, and the CLI is a client.
package adminv1

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
