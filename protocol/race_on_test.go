//go:build race

package protocol

const underRace = true
