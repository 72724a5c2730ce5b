// Package healthv1 is gRPC's health checking protocol, so that probes which speak it
// find out whether a node is to be sent users. The names are gRPC's, and so the linter
// of our own protos has exceptions for them.
package healthv1

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
