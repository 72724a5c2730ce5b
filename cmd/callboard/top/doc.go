// Package top is the live view of a running service in a terminal: what passes, who is
// busy, who is slow, which limits were hit, and the tree. [Run] shows it until the
// operator has seen enough.
//
// The model is a function of its messages: Update does no I/O and knows no clock. What it
// wants to know it asks by commands (poll.go), one look at a time, each of a bounded
// number of bounded calls; so it costs a service the same however many are connected.
package top
