package main

// NewCommand is the whole command line, for tests that run the program from outside.
var NewCommand = newCommand
