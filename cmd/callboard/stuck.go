package main

import "callboard/transport/admin/adminv1"

// stuckRows name the actors that are stuck in one message, if there are some.
func stuckRows(t *table, tree *adminv1.GetTreeResponse) {
	if tree.Stuck == 0 {
		return
	}
	t.row("")
	t.head("STUCK\tFOR\tIN")
	for _, a := range tree.Longest {
		t.row("%s\t%s\t%s", badStyle.Render(printable(a.Actor)), since(a.SinceMs), dash(a.Doing))
	}
	if more := int(tree.Stuck) - len(tree.Longest); more > 0 {
		t.row("(and %d more)", more)
	}
}

// stuckWord is the state of an actor that is stuck.
func stuckWord() string { return badStyle.Render("stuck") }
