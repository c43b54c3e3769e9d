// The definitions of others' objects: what the chart makes for their operators, and what `tidegate migrate` reads.
// `go mod download` fetches them; nothing is built.
module tidegate.dev/tests/definitions

go 1.24.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/fluxcd/flagger v1.44.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
