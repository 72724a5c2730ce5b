package mailbox_test

import (
	"testing"
	"unsafe"

	"callboard/actors/mailbox"
)

// A mailbox is part of each session and each user: 16 bytes more are 32 MB for a million of them.
func TestMailboxIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(mailbox.Mailbox{}); size > 152 {
		t.Errorf("a mailbox has %d bytes and should have no more than 152", size)
	}
}
