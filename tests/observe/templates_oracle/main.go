// Fills in templates with Go's own library: one JSON object a line with "template" and "values", one answer a line.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type question struct {
	Template string         `json:"template"`
	Values   map[string]any `json:"values"`
}

type answer struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

// The few functions beyond Go's own that Argo's shipped templates use; sprig has them so.
var functions = template.FuncMap{
	"add": func(a, b any) int64 { return number(a) + number(b) },
}

func number(value any) int64 {
	switch typed := value.(type) {
	case float64:
		return int64(typed)
	case int:
		return int64(typed)
	}
	return 0
}

func fill(asked question) answer {
	read, err := template.New("t").Funcs(functions).Parse(asked.Template)
	if err != nil {
		return answer{Error: "parse: " + err.Error()}
	}
	var out strings.Builder
	if err := read.Execute(&out, asked.Values); err != nil {
		return answer{Error: "execute: " + err.Error()}
	}
	return answer{Text: out.String()}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		if err := answers.Encode(fill(asked)); err != nil {
			panic(err)
		}
	}
}
