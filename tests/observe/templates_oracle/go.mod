module tidegate.dev/tests/templates

go 1.22
