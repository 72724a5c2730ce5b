// Package deploychecks reads what deploy/ has as those read it that use it: Docker's parser and linter, Compose's
// loader, Kubernetes's types, goreleaser's configuration. 'bash .ci/run deploy' runs its tests. They need
// nothing that runs, so they say that a file is understood, and not that it works.
package deploychecks
