// The definitions of the objects that the chart makes for others' operators. `go mod download` fetches them; nothing is built.
module tidegate.dev/tests/definitions

go 1.24.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
