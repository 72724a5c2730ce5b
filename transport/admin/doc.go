// Package admin is how operators look into a node and act on it while it runs: the API
// callboard.admin.v1 on a listener of its own, which nobody reaches without a token.
//
// One handler speaks gRPC, gRPC-Web, and JSON over POST; package adminv1 has the
// contract. gRPC's reflection is there for those with a token, and its health check for
// anybody. /openapi.json describes the calls for other tools.
//
// It asks [actors.System] for everything and holds nothing of the node itself. What a
// call may cost is bounded: its request in bytes, its answer in rows, its time, and the
// connections of all. No call has an actor do more than a page of work.
//
// DESIGN.md has the decisions: who may call what, and what a failed sign-in costs.
package admin
