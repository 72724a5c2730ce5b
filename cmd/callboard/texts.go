package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"callboard/protocol"
)

// texts are the messages to be sent, one after the other.
type texts struct {
	next  chan string // closed after the last
	err   error       // why there are no more; to be read when next is closed
	lines bool        // they come from a file, and have numbers
}

func oneText(text string) *texts {
	t := &texts{next: make(chan string, 1)}
	t.next <- text
	close(t.next)
	return t
}

// newLines reads a text from each line. Its goroutine ends with the input or, as
// a terminal cannot be read with a deadline, with the process.
func newLines(in io.Reader) *texts {
	t := &texts{next: make(chan string), lines: true}
	go func() {
		defer close(t.next)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, protocol.MaxFrameBytes+2) // a line of the longest frame's length, and its end
		number := 0
		for scanner.Scan() {
			number++
			t.next <- scanner.Text()
		}
		switch err := scanner.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			t.err = exits(exitRefused, fmt.Errorf("line %d: %s: a message has at most %d bytes, its frame included; sent before it: %d",
				number+1, protocol.CodeTooLarge, protocol.MaxFrameBytes, number))
		case err != nil:
			t.err = fmt.Errorf("reading line %d: %w", number+1, err)
		}
	}()
	return t
}
