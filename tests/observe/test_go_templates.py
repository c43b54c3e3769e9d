"""Templates are filled in as Go fills them in: compared with text/template itself, on Argo's and on generated ones."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tidegate.observe.notify.go_syntax import TemplateError
from tidegate.observe.notify.go_templates import Template

VALUES: dict[str, Any] = {
    "rollout": {
        "metadata": {"name": "shop", "namespace": "prod", "labels": {"team": "red", "app": "shop"}},
        "spec": {
            "replicas": 5,
            "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}},
            "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]}},
        },
        "status": {"currentStepIndex": 1, "abort": False, "message": "", "weights": [], "ratio": 0.5},
    },
    "recipient": "ops",
}

ARGOS = """[{
  "title": "{{ .rollout.metadata.name}}",
  "value": "{{if .rollout.spec.strategy.blueGreen}}BlueGreen{{end}}{{if .rollout.spec.strategy.canary}}Canary{{end}}"
}
{{range $index, $c := .rollout.spec.template.spec.containers}}
  {{if not $index}},{{end}}
  {{if $index}},{{end}}
  {"title": "{{$c.name}}", "value": "{{$c.image}}"}
{{end}}
]"""

TABLE = [
    ARGOS,
    "step {{ add .rollout.status.currentStepIndex 1}}/{{len .rollout.spec.strategy.canary.steps}} done",
    "{{- /* said */ -}} a {{- 1 -}} b {{ 2 }} ",
    "{{with .rollout.metadata}}{{.name}} in {{.namespace}} of {{$.recipient}}{{end}}",
    "{{with .rollout.status.message}}said {{.}}{{else}}nothing{{end}}",
    "{{range $k, $v := .rollout.metadata.labels}}{{$k}}={{$v}};{{end}}",
    "{{range .rollout.status.weights}}{{.}}{{else}}none{{end}}",
    "{{range $c := .rollout.spec.template.spec.containers}}{{$c.image}} {{end}}",
    '{{$n := .rollout.metadata.name}}{{if eq $n `shop`}}{{$n = "yes"}}{{end}}{{$n}}',
    "{{if and .rollout.status.abort .nothing}}a{{else if or .rollout.status.abort .recipient}}b{{else}}c{{end}}",
    '{{if eq .recipient "x" "ops"}}one{{end}}{{if ne .recipient `ops`}}other{{end}}',
    '{{printf "%s|%-6s|%6s|%q|%%" .recipient `ab` `cd` .recipient}} {{.recipient | printf `%s-%s` `a`}}',
    "{{index .rollout.metadata.labels `team`}} {{(index .rollout.spec.template.spec.containers 1).name}}",
    "{{not .rollout.status.abort}} {{.rollout.status.ratio}} {{.rollout.spec.replicas}} {{.rollout.status.abort}}",
    "{{.rollout.metadata.labels}} {{.rollout.spec.strategy}} {{.nothing}}",
    "{{print 1 2}} {{print `a` 1 `b`}} {{println `x` 3}}{{urlquery `a b&c`}}",
    "{{if gt (len .rollout.spec.template.spec.containers) 1}}many{{end}} {{lt 1 2}} {{le 2 2}} {{ge 1 2}}",
    "{{ $x := 1 }}{{ range .rollout.spec.template.spec.containers }}{{ $x = 7 }}{{ end }}{{ $x }}",
    "{{ if true }}{{ $y := 5 }}{{ $y }}{{ end }}",
    '{{len `héllo`}} {{1.5}} {{-3}} {{`raw\\n`}} {{"\\u00e9\\t"}}',
]


def go(asked: list[str]) -> list[dict[str, str]]:
    lines = "".join(json.dumps({"template": text, "values": VALUES}) + "\n" for text in asked)
    done = subprocess.run([oracles.built("templates")], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_given_a_template_when_filled_in_then_it_reads_as_in_go() -> None:
    for text, expected in zip(TABLE, go(TABLE), strict=True):
        assert expected["error"] == "", text
        assert Template(text).fill(VALUES) == expected["text"], text


def trees(leaf: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    values = st.sampled_from(
        ["$.recipient", "$.nothing", "$.rollout.status.abort", "$.rollout.spec.replicas", "1", "``"]
    )
    spaces = st.sampled_from(["{{%s}}", "{{- %s}}", "{{%s -}}", "{{- %s -}}"])

    def action(word: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.builds(lambda form, inner: form % inner, spaces, word)

    begin = action(st.builds("{} {}".format, st.sampled_from(["if", "with"]), values))
    loop = action(st.just("range $i, $c := $.rollout.spec.template.spec.containers"))
    end, other = action(st.just("end")), action(st.just("else"))
    return st.one_of(
        st.builds("".join, st.lists(leaf, max_size=3)),
        st.builds("{}{}{}".format, begin, leaf, end),
        st.builds("{}{}{}{}{}".format, begin, leaf, other, leaf, end),
        st.builds("{}{}{}{}".format, loop, leaf, action(st.sampled_from(["$i", "$c.name"])), end),
    )


LEAVES = st.one_of(
    st.sampled_from([" text ", "\n", "a{b}", " {{$.recipient}} ", "{{- $.recipient }}", "{{ 1 -}}  "]),
    st.builds("{{{{ {} | printf `%v` }}}}".format, st.sampled_from(["$.recipient", "true", "$.rollout.metadata.name"])),
)


@settings(max_examples=8)
@given(st.lists(st.recursive(LEAVES, trees, max_leaves=12), min_size=30, max_size=30))
def test_given_generated_templates_when_filled_in_then_they_read_as_in_go(texts: list[str]) -> None:
    for text, expected in zip(texts, go(texts), strict=True):
        assert expected["error"] == "", text
        assert Template(text).fill(VALUES) == expected["text"], text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{define `x`}}{{end}}", "{{define}} is not supported"),
        ("{{template `x`}}", "{{template}} is not supported"),
        ("{{range .a}}{{break}}{{end}}", "{{break}} is not supported"),
        ("{{ .a | sha256sum }}", "the function sha256sum is not supported"),
        ("{{ env `HOME` }}", "the function env is not supported"),
        ("{{if .a}}x", "{{if}} without its {{end}}"),
        ("x{{end}}", "{{end}} without an if"),
        ("{{ .a", "{{ without its }}"),
        ("{{ .a .b }}", "can't follow a value"),
        ("{{ (.a }}", "a bracket is not closed"),
        ("{{ }}", "a value is missing"),
        ("{{ .a ? }}", "can't read '?'"),
        ("{{if .a}}" * 60 + "{{end}}" * 60, "more than 40 if, with and range"),
    ],
)
def test_given_what_is_beyond_when_read_then_it_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(TemplateError) as raised:
        Template(text)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{range $i := .l}}{{range $j := $.l}}{{range $k := $.l}}{{range $m := $.l}}x{{end}}{{end}}{{end}}{{end}}",
        "{{range .l}}{{$.long}}{{end}}",
    ],
)
def test_given_a_template_that_grows_when_filled_in_then_it_is_stopped(text: str) -> None:
    with pytest.raises(TemplateError):
        Template(text).fill({"l": list(range(100)), "long": "x" * 10_000})


def test_given_a_field_of_nothing_when_filled_in_then_there_is_a_gap_and_no_error() -> None:
    """Go would send nothing at all."""
    assert Template("{{.rollout.no.such.field}}!").fill(VALUES) == "<no value>!"


def test_given_an_error_when_told_then_no_value_is_in_it() -> None:
    with pytest.raises(TemplateError) as raised:
        Template("{{ lt .secret 1 }}").fill({"secret": "hunter2"})
    assert "hunter2" not in str(raised.value)
