// Evaluates conditions with the library that Argo Rollouts uses, in the environment of its
// utils/evaluate/evaluate.go: the judge of tests/conditions. One JSON object a line in, one out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/expr-lang/expr"
)

type question struct {
	Condition string   `json:"condition"`
	Kind      string   `json:"kind"`  // "vector", "float" or "json"
	Floats    []string `json:"floats"` // JSON has no NaN and no infinity
	JSON      any      `json:"json"`
}

type answer struct {
	Holds *bool  `json:"holds"`
	Stage string `json:"stage"` // of the error: "compile", "run" or "type"
	Error string `json:"error"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		if err := out.Encode(judge(asked.Condition, asked.result())); err != nil {
			panic(err)
		}
	}
}

func (asked question) result() any {
	floats := make([]float64, len(asked.Floats))
	for i, text := range asked.Floats {
		floats[i], _ = strconv.ParseFloat(text, 64)
	}
	switch asked.Kind {
	case "vector":
		return floats
	case "float":
		return floats[0]
	}
	return asked.JSON
}

func judge(condition string, result any) (given answer) {
	defer func() {
		if caught := recover(); caught != nil {
			given = answer{Stage: "run", Error: fmt.Sprint(caught)}
		}
	}()
	env := map[string]any{
		"result":  result,
		"asInt":   asInt,
		"asFloat": asFloat,
		"isNaN":   math.IsNaN,
		"isInf":   func(number float64) bool { return math.IsInf(number, 0) },
		"isNil":   func(any) bool { return result == nil },
		"default": func(_ any, otherwise any) any {
			if result == nil {
				return otherwise
			}
			return result
		},
	}
	program, err := expr.Compile(condition, expr.Env(env))
	if err != nil {
		return answer{Stage: "compile", Error: err.Error()}
	}
	value, err := expr.Run(program, env)
	if err != nil {
		return answer{Stage: "run", Error: err.Error()}
	}
	holds, ok := value.(bool)
	if !ok {
		return answer{Stage: "type", Error: fmt.Sprintf("%T %v", value, value)}
	}
	return answer{Holds: &holds}
}

func asInt(value any) int64 {
	switch number := value.(type) {
	case float64:
		return int64(number)
	case int:
		return int64(number)
	case int64:
		return number
	case uint8:
		return int64(number)
	case string:
		parsed, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			panic(err)
		}
		return parsed
	}
	panic(fmt.Sprintf("asInt of %T", value))
}

func asFloat(value any) float64 {
	switch number := value.(type) {
	case float64:
		return number
	case int:
		return float64(number)
	case int64:
		return float64(number)
	case uint8:
		return float64(number)
	case string:
		parsed, err := strconv.ParseFloat(number, 64)
		if err != nil {
			panic(err)
		}
		return parsed
	}
	panic(fmt.Sprintf("asFloat of %T", value))
}
