"""The stand-in for `python:3.11-slim`: this machine's Python, at its own paths, and what it needs to run."""

from __future__ import annotations

import importlib.metadata as meta
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

_LEFT_OUT: Final = (
    *("__pycache__", "site-packages", "dist-packages", "EXTERNALLY-MANAGED"),
    *("test", "tests", "idlelib", "tkinter", "_tkinter*", "turtledemo", "lib2to3", "ensurepip", "config-*", "*.a"),
)
_PIP: Final = '#!/bin/sh\nexec python -m pip "$@"\n'


def fill(root: Path, packages: Collection[str]) -> None:
    """Put the image's files below `root`. packages: whose libraries are needed too, by their names."""
    python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    library, site = _told(python, "stdlib"), _told(python, "purelib")
    shutil.copytree(library, _inside(root, library), ignore=shutil.ignore_patterns(*_LEFT_OUT))
    shutil.copytree(_folder("pip"), _inside(root, site) / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    programs = (python, Path("/bin/sh"))
    modules = [path for path in library.glob("lib-dynload/*.so") if not path.name.startswith("_tkinter")]
    for file in {*programs, *_libraries([*programs, *modules, *_compiled(packages)])}:
        _inside(root, file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, _inside(root, file))
    commands = root / "usr" / "local" / "bin"
    commands.mkdir(parents=True, exist_ok=True)
    (commands / "python").symlink_to(python)
    (commands / "pip").write_text(_PIP)
    (commands / "pip").chmod(0o755)
    (root / "tmp").mkdir()


def _inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _told(python: Path, name: str) -> Path:
    """A path of `sysconfig`, as the Python itself has it, not the virtual environment that is made of it."""
    command = [python, "-I", "-c", f"import sysconfig; print(sysconfig.get_path({name!r}))"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def _folder(package: str) -> Path:
    return Path(str(meta.distribution(package).locate_file(package)))


def _compiled(packages: Collection[str]) -> list[Path]:
    """The compiled modules of the packages that are installed here."""
    return [
        Path(str(file.locate()))
        for distribution in meta.distributions()
        if canonicalize_name(distribution.name) in packages
        for file in distribution.files or ()
        if file.suffix == ".so"
    ]


def _libraries(files: Iterable[Path]) -> set[Path]:
    """The shared libraries that these load, and the loader."""
    told = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in re.findall(r"^\s.*?(/\S+) \(0x", told, re.M)}
