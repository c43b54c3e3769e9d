"""What a call loads before it answers, wrong uses, and the shell's completion."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from lab.paths import REPOSITORY
from tests.cli.conftest import LOGIN, Cli
from tests.cli.release import Release
from tests.fakes.cluster import FakeCluster
from tidegate.cli import completing
from tidegate.cli.main import app

HEAVY = (
    "kopf",
    "kubernetes",
    "pydantic",
    "prometheus_api_client",
    "tidegate.engine",
    "tidegate.api.rollout",
    "tidegate.shell",
)


def python(code: str, **env: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY / "operator"), **env}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=240, check=False
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("modules", "more"),
    [
        ("tidegate.cli.main", ("aiohttp", "yaml", "asyncio", "rich")),
        ("tidegate.cli.main, tidegate.cli.looking, tidegate.cli.changing, tidegate.cluster.http_transport", ()),
    ],
    ids=["help", "verbs"],
)
def test_what_the_operator_needs_is_not_loaded(modules: str, more: tuple[str, ...]) -> None:
    """Models of the API alone take as long to load as everything that a verb needs."""
    code = f"import {modules}, sys; print(*sorted(m for m in {HEAVY + more!r} if m in sys.modules))"

    assert python(code).split() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["get"], "Missing argument"),
        (["get", "app", "-o", "xml"], "'xml' is not"),
        (["undo", "app", "--to-revision", "x"], "Invalid value for '--to-revision'"),
    ],
)
def test_a_wrong_use_ends_with_4_and_never_with_an_answers_code(arguments: list[str], words: str) -> None:
    """click's own code for it is 2, which `status` has for a Rollout that waits for a person."""
    code = f"import sys; sys.argv = ['tidegate', *{arguments!r}]; from tidegate.cli.main import main\n"
    code += "try: main()\nexcept SystemExit as end: print('code', end.code)"

    told = python(code)

    assert words in told and "code 4" in told and "Traceback" not in told


@pytest.mark.parametrize("words", [["Rollout!"], ["a", "b"], ["deployment/app"], ["a", "b", "c"], ["ro/"]])
def test_what_is_no_name(cli: Cli, cluster: FakeCluster, words: list[str]) -> None:
    answer = cli("get", *words)

    assert (answer.code, answer.out) == (4, "")
    assert "is not a name" in answer.err


ELSEWHERE = {"run", "completion", "lint", "version", "analysis plan", "analysis backtest"}
"""What needs no cluster, or has the operator's own flags."""
SILENT = {"run", "completion", "dashboard"}
"""What has one form of answer."""


def verbs(group: Any = None, before: str = "") -> dict[str, set[str]]:
    """The options of each verb, by its name."""
    found: dict[str, set[str]] = {}
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            found |= verbs(command, f"{before}{name} ")
        else:
            found[before + name] = {option for parameter in command.params for option in parameter.opts}
    return found


def test_every_verb_has_the_options_that_kubectl_s_users_expect() -> None:
    options = verbs()
    assert len(options) > 20 and not {*ELSEWHERE, *SILENT} - set(options)
    places = {"-n", "--namespace", "--context", "--kubeconfig"}
    assert {name: places - has for name, has in options.items() if name not in ELSEWHERE and places - has} == {}
    assert [name for name, has in options.items() if name not in SILENT and not {"-o", "--output"} <= has] == []


def test_version_and_its_json(cli: Cli) -> None:
    assert cli.ok("version", "-o", "json").data == {"version": cli.ok("version").out.strip()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_this_program(cli: Cli, shell: str) -> None:
    script = cli.ok("completion", shell).out

    assert "_TIDEGATE_COMPLETE=complete_" + shell in script
    assert "there is one for bash, zsh, fish" in cli("completion", "tcsh").err


@pytest.mark.parametrize(
    ("shell", "env"),
    [
        ("bash", {"COMP_WORDS": "tidegate pro", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "tidegate pro"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "tidegate pro", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_verbs_are_completed(shell: str, env: dict[str, str]) -> None:
    code = "import sys; sys.argv = ['tidegate']; from tidegate.cli.main import main; main()"

    assert "promote" in python(code, _TIDEGATE_COMPLETE=f"complete_{shell}", **env)


@pytest.mark.parametrize(
    ("typed", "candidates"),
    [
        ("completion ", "bash zsh fish"),
        ("list e", "experiments"),
        ("terminate a", "analysisrun"),
        ("terminate analysisrun ", "<AnalysisRun>"),
        ("promote --f", "--full"),
        ("abort app -o ", "json yaml wide name"),
    ],
)
def test_words_are_completed_where_they_may_stand(typed: str, candidates: str) -> None:
    code = (
        "import sys; sys.argv = ['tidegate']; from tidegate.cli import completing; from tidegate.cli.main import main\n"
    )
    code += "completing.objects = lambda ctx, kind, incomplete: [f'<{kind}>']\nmain()"
    words = ["tidegate", *typed.split(" ")]

    told = python(code, _TIDEGATE_COMPLETE="complete_bash", COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1))

    assert told.split() == candidates.split()


class _Context:
    """As much of a call's context as completion looks at."""

    obj = None

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def find_root(self) -> _Context:
        return self


def test_names_are_completed_and_without_a_cluster_nothing_is(cli: Cli, release: Release) -> None:
    context: typer.Context = _Context({"namespace": "default"})  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completing, "log_in", lambda **_: LOGIN)
        assert completing.objects(context, "Rollout", "a") == ["app"]
        assert completing.objects(context, "Rollout", "b") == []
        assert completing.namespaces(context, "d") == ["default"]
    nowhere: typer.Context = _Context({"kubeconfig": "/nowhere"})  # type: ignore[assignment]
    assert completing.objects(nowhere, "Rollout", "") == []
