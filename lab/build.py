"""Build the lab's programs from pinned modules into the cache, once.

Compiling a control plane takes a quarter of an hour on two cores, so the build says where it is and how long it will
still take, goes on where it was interrupted (Go keeps each compiled package), and leaves a program in the cache only
when it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.paths import LabError, cache_dir, prepare_dir
from lab.processes import die_with_parent
from lab.programs import PROGRAMS, Program
from lab.toolchain import Go, find_go

SPACE_NEEDED = 6 * 2**30
"""Bytes: Go's module and build caches for all programs (4 GB) and room to link."""


def ensure(names: Sequence[str] | None = None) -> dict[str, Path]:
    """Build what is missing and return the directory of each program in the cache."""
    programs = [program for program in PROGRAMS if names is None or program.name in names]
    if unknown := set(names or ()) - {program.name for program in programs}:
        raise LabError(f"No such program: {', '.join(sorted(unknown))}. Known: {', '.join(p.name for p in PROGRAMS)}.")
    root = prepare_dir(cache_dir() / "lab")
    go = find_go()
    targets = {program: root / f"{program.name}-{_fingerprint(program, go)}" for program in programs}
    if any(not target.is_dir() for target in targets.values()):
        with _only_one(root / ".lock"):
            missing = {program: target for program, target in targets.items() if not target.is_dir()}
            _build_all(missing, go)
    return {program.name: target for program, target in targets.items()}


def _fingerprint(program: Program, go: Go) -> str:
    """What a program is built from, in 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in (
        (program.directory / "go.mod").read_bytes(),
        (program.directory / "go.sum").read_bytes(),
        "\0".join([program.package, *program.flags(), *map(str, program.data)]).encode(),
        go.version.encode(),
    ):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("lab: another build is at work on this cache; waiting for it to finish", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build_all(missing: dict[Program, Path], go: Go) -> None:
    if not missing:
        return
    expected = sum(program.seconds for program in missing)
    print(
        f"lab: building {', '.join(program.name for program in missing)} with {go.version}: about "
        f"{_minutes(expected)} on two cores, once. It can be interrupted and will go on from there.",
        flush=True,
    )
    for leftover in next(iter(missing.values())).parent.glob(".building-*"):  # of a build that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    environment = go.environment()
    _check_space(Path(environment["GOCACHE"]))
    started = time.monotonic()
    for number, (program, target) in enumerate(missing.items(), start=1):
        later = sum(other.seconds for other in list(missing)[number:])
        _build(program, target, go, environment, label=f"[{number}/{len(missing)}] {program.name}", later=later)
    print(f"lab: built in {_minutes(time.monotonic() - started)}", flush=True)


def _build(program: Program, target: Path, go: Go, environment: dict[str, str], *, label: str, later: int) -> None:
    """Build beside `target` and move it there as the last step, so that what the cache holds is complete."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as scratch:
        staged = Path(scratch, "out")
        staged.mkdir()
        progress = Progress(label, program.seconds, later)
        with progress.shown():
            progress.note("reading modules")
            stale = _go(go, environment, program, ["list", *program.flags(), "-deps", "-f", _STALE, program.package])
            progress.total = stale.count("\n")
            _compile(program, staged / program.name, go, environment, progress)
        for module, source, name in program.data:
            folder = _go(go, environment, program, ["list", "-m", "-f", "{{.Dir}}", module]).strip()
            _copy(Path(folder, source), staged / name)
        staged.rename(target)


def _copy(source: Path, target: Path) -> None:
    """Copy a file; YAML for a name that ends in .json is converted, which saves a second at each start of a lab."""
    if target.suffix == ".json":
        documents = [found for found in yaml.load_all(source.read_bytes(), yaml.CSafeLoader) if found]
        target.write_text(json.dumps(documents))
    else:
        shutil.copyfile(source, target)


_STALE = "{{if .Stale}}{{.ImportPath}}{{end}}"


def _compile(program: Program, output: Path, go: Go, environment: dict[str, str], progress: Progress) -> None:
    command = [str(go.binary), "build", "-v", *program.flags(), "-o", str(output), program.package]
    said: list[str] = []
    with subprocess.Popen(
        command,
        cwd=program.directory,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:  # with -v: the name of each package as it is compiled
            said.append(line)
            progress.note(line.strip(), compiled=not line.startswith(("go: ", "#", "\t")))
    if process.returncode:
        raise LabError(f"{program.name} can't be built:\n{''.join(said[-20:])}{_advice(''.join(said[-20:]))}")


def _go(go: Go, environment: dict[str, str], program: Program, arguments: list[str]) -> str:
    done = subprocess.run(
        [str(go.binary), *arguments],
        cwd=program.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{program.name}: `go {arguments[0]}` failed:\n{done.stderr[-2000:]}{_advice(done.stderr)}")
    return done.stdout


def _advice(output: str) -> str:
    if "no space left" in output:
        return "The disk is full. Free some GB, or move the caches with TIDEGATE_CACHE, GOCACHE and GOMODCACHE."
    if "dial tcp" in output or "no such host" in output or "i/o timeout" in output:
        return "The modules can't be fetched: check the network, or set GOPROXY to a mirror that can be reached."
    if "signal: killed" in output:
        return "The compiler was killed, probably for want of memory: about 4 GB free are needed."
    return "Run the command again to go on from here."


def _check_space(place: Path) -> None:
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < SPACE_NEEDED:
        raise LabError(
            f"{place} has {free / 2**30:.1f} GB free; a first build needs {SPACE_NEEDED / 2**30:.0f} GB there. "
            f"Free some, or move Go's caches with GOCACHE and GOMODCACHE."
        )


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


@dataclass
class Progress:
    """One line that tells how far a build is: rewritten on a terminal, repeated every 15 s in a log.

    seconds: what the whole program is expected to take; replaced by what the pace so far says once a tenth is done.
    later: seconds that the programs after this one are expected to take.
    """

    label: str
    seconds: float
    later: float
    total: int = 0
    compiled: int = 0
    doing: str = ""

    def note(self, doing: str, *, compiled: bool = False) -> None:
        self.doing = doing
        self.compiled += compiled

    def line(self, elapsed: float) -> str:
        share = min(self.compiled / self.total, 1.0) if self.total else 0.0
        expected = elapsed / share if share > 0.1 else max(self.seconds, elapsed)
        counted = f"{self.compiled}/{self.total} packages, " if self.total else ""
        what = "linking" if share == 1.0 else self.doing
        left = max(expected - elapsed, 0.0) + self.later
        return f"lab: {self.label}: {counted}{_minutes(elapsed)} gone, about {_minutes(left)} left for all  {what}"

    @contextmanager
    def shown(self) -> Iterator[None]:
        terminal = sys.stdout.isatty()
        started = time.monotonic()
        done = threading.Event()

        def show() -> None:
            while not done.wait(0.5 if terminal else 15):
                text = self.line(time.monotonic() - started)
                if terminal:
                    width = shutil.get_terminal_size().columns - 1
                    print(f"\r{text[:width]:<{width}}", end="", flush=True)
                else:
                    print(text, flush=True)

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            clear = "\r\033[K" if terminal else ""
            print(f"{clear}lab: {self.label}: {_minutes(time.monotonic() - started)}", flush=True)
