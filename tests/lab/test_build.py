"""What makes the lab build anew, what it tells meanwhile, and which tools of the machine it accepts."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab import build, toolchain
from lab.paths import LabError
from lab.programs import PROGRAMS, Program
from lab.toolchain import Go

GO = Go(Path("/usr/bin/go"), "go1.26.8")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program pinned in files of the test's own."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "go.mod").write_text("module x\n\ngo 1.26.0\n")
    (tmp_path / "demo" / "go.sum").write_text("")
    monkeypatch.setattr("lab.programs.GO_MODULES", tmp_path)
    return Program("demo", "demo", "example.com/demo", seconds=1)


def test_everything_a_program_is_built_from_decides_about_its_place(program: Program) -> None:
    first = build._fingerprint(program, GO)
    assert build._fingerprint(program, GO) == first
    others = [
        build._fingerprint(program, dataclasses.replace(GO, version="go1.27.3")),
        build._fingerprint(dataclasses.replace(program, tags="netgo"), GO),
        build._fingerprint(dataclasses.replace(program, ldflags="-s"), GO),
        build._fingerprint(dataclasses.replace(program, data=(("m", "f", "n"),)), GO),
    ]
    for name in ("go.mod", "go.sum"):
        with (program.directory / name).open("a") as pinned:
            pinned.write("// changed\n")
        others.append(build._fingerprint(program, GO))
    assert len({first, *others}) == 7


def test_the_place_of_the_toolchain_and_the_estimate_do_not_matter(program: Program) -> None:
    moved = dataclasses.replace(GO, binary=Path("/elsewhere/go"))
    slower = dataclasses.replace(program, seconds=999)
    assert build._fingerprint(slower, moved) == build._fingerprint(program, GO)


def test_every_program_is_pinned_and_names_no_host() -> None:
    for program in PROGRAMS:
        pins = (program.directory / "go.mod").read_text() + (program.directory / "go.sum").read_text()
        assert program.package.split("/")[0] in pins
        assert "://" not in pins


@pytest.mark.parametrize(
    ("compiled", "elapsed", "left"),
    [
        (0, 0, "5:00"),  # nothing known yet: what was expected
        (50, 60, "3:00"),  # half of it took a minute: one more, and the programs after it
        (50, 600, "12:00"),  # slower than expected
        (100, 60, "2:00"),  # only linking is left
        (0, 900, "2:00"),  # longer than expected and nothing counted: never less than nothing
    ],
)
def test_the_estimate_follows_the_pace(compiled: int, elapsed: float, left: str) -> None:
    progress = build.Progress("[1/2] demo", seconds=180, later=120, total=100, compiled=compiled)
    assert f"about {left} min left for all" in progress.line(elapsed)


def test_an_unknown_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"No such program: nonsense.*etcd"):
        build.ensure(["nonsense"])


def test_yaml_beside_a_program_becomes_json(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("a: 1\n---\n---\nb: 2\n")
    build._copy(tmp_path / "in.yaml", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [{"a": 1}, {"b": 2}]


def test_two_builds_take_turns(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    script = f"""
from pathlib import Path
from lab.build import _only_one
with _only_one(Path({str(lock)!r})):
    print("mine", flush=True)
"""
    with build._only_one(lock):
        other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert "another build is at work" in other.stdout.readline()
    rest, _ = other.communicate(timeout=20)
    assert "mine" in rest


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("go1.27rc1", (1, 27)),
        ("go1.26.8 X:nogreenteagc", (1, 26, 8)),
        ("v1.37.2", (1, 37, 2)),
        ("1.26.0", (1, 26, 0)),
        ("devel", ()),
    ],
)
def test_versions_are_compared_by_their_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert toolchain._numbers(text) == numbers


def fake(folder: Path, name: str, prints: str) -> Path:
    folder.mkdir(exist_ok=True)
    script = folder / name
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("version", "taken"),
    [("v1.37.0", True), ("v1.36.4", True), ("v1.32.4-dispatcher", False), ("v1.35.0", False), ("nonsense", False)],
)
def test_a_kubectl_of_the_machine_is_taken_if_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    found = fake(tmp_path / "bin", "kubectl", json.dumps({"clientVersion": {"gitVersion": version}}))
    wheel = fake(tmp_path / "venv", "kubectl", json.dumps({"clientVersion": {"gitVersion": "v1.37.2"}}))
    (tmp_path / "venv" / "bin").symlink_to(tmp_path / "venv")
    monkeypatch.setenv("PATH", f"{found.parent}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert toolchain.kubectl() == (found if taken else wheel.parent / "bin" / "kubectl")


@pytest.mark.parametrize("version", ["go1.26.6", "go1.25.9", "none"])
def test_an_old_go_is_replaced_by_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    fake(tmp_path / "bin", "go", version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    asked: list[str] = []

    def install(*arguments: str) -> None:
        asked.extend(arguments)
        scratch = Path(arguments[arguments.index("--target") + 1])
        (scratch / "go" / "bin").mkdir(parents=True)
        fake(scratch / "go" / "bin", "go", "go1.27.3")

    monkeypatch.setattr(toolchain, "_pip", install)
    go = toolchain.find_go()
    assert go.version == "go1.27.3"
    assert re.fullmatch(r".*/cache/go-[\d.]+/go/bin/go", str(go.binary))
    assert "--require-hashes" in asked
    asked.clear()
    assert toolchain.find_go() == go
    assert not asked  # installed once


def test_a_new_enough_go_of_the_machine_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = fake(tmp_path / "bin", "go", "go1.26.8")
    monkeypatch.setenv("PATH", f"{mine.parent}:/usr/bin:/bin")
    assert toolchain.find_go() == Go(mine, "go1.26.8")


def test_a_build_ignores_the_flags_and_toolchain_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = fake(tmp_path / "bin", "go", str(tmp_path / "go-cache"))
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    variables = Go(found, "go1.26.8").environment()
    assert (variables["GOFLAGS"], variables["GOTOOLCHAIN"], variables["CGO_ENABLED"]) == ("", "local", "0")
    assert variables["GOCACHE"] == str(tmp_path / "go-cache")


def test_without_a_usable_home_go_caches_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = fake(tmp_path / "bin", "go", "/proc/nowhere")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    variables = Go(found, "go1.26.8").environment()
    assert variables["GOCACHE"].startswith(str(tmp_path / "cache"))
    assert variables["GOMODCACHE"].startswith(str(tmp_path / "cache"))


def test_a_cache_that_cannot_be_written_says_how_to_choose_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CACHE", "/proc/nowhere")
    with pytest.raises(LabError, match="Set TIDEGATE_CACHE"):
        build.ensure()
