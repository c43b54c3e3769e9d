"""Runs the command blocks of a page, in their order, as a reader would: in a shell, with kubectl, helm and tidegate.

The sessions of a page are typed again, in their place among the blocks, and have to print what the page shows
(`tests.docs.sessions`).

What is not as in the page stands here, and nothing else is changed:

* `IMAGES`: the lab has no registry, so images have another repository there.
* `ADDRESSES`: the lab's Prometheus is no Service, and another one remembers an incident (`tests.docs.recording`).
* `SHORTER`: what would only take time is quicker in the copy of the examples that the commands see.
* `BEFORE`: what a page takes for granted before one of its blocks.
* `docker` is made of buildah, and the base image of this machine's Python (`tests.image.docker`).
* `clean`: pip finds the packages beside the tests' own, instead of asking a registry.

A line that ends with `# exit code N` must end so. A block that begins as one of `SERVING` goes on until the page is
over, and must still go on then; what it serves has to be there before the next block.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import yaml

from lab import netns
from lab.cluster import Lab, wait_for
from lab.paths import REPOSITORY, cache_dir
from lab.toolchain import kubectl
from tests.docs import recording, sessions
from tests.docs.pages import Block, blocks
from tests.docs.settings import SELF
from tests.image.docker import docker
from tests.oracles import python_tools

IMAGES: Final = {"registry.example.com/tidegate": "lab.local/tidegate", "registry.example.com/shop": "lab.local/app"}
ADDRESSES: Final = {
    "http://prometheus.monitoring:9090": Lab.prometheus_url,
    "http://prometheus:9090": recording.ADDRESS,
}

RUN: Final = ("sh", "console")
SERVING: Final = {
    "while ": "",
    "tidegate dashboard": "",
    "kubectl -n tidegate-system port-forward svc/tidegate-page ": "http://localhost:8500",
}
"""How blocks begin that go on until the page is over, and where a reader finds Tidegate's page then, if it is told."""

_OURS: Final = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "TIDEGATE_LAB_DIR", netns.MARKER)
"""What the tests have in the environment and a reader has not. The last says that one is in a lab already."""

_EXIT = re.compile(r"^(.*\S) +# exit code (\d+)\b.*$", re.M)
_PROGRAMS: Final = {
    "tidegate": "tidegate.cli.main:main",
    "kubectl-tidegate": "tidegate.cli.main:main",
    "kubectl_complete-tidegate": "tidegate.cli.kubectl_complete:main",
}
DOCKER: Final = "docker"
"""The folder of the engine and its images, below the lab's working directory."""

_LINKED: Final = ("Makefile", "charts", "docs", "lab", "tests")
_COPIED: Final = (
    *("Dockerfile", ".dockerignore", "LICENSE", "README.md", "pyproject.toml", "requirements.lock"),
    *("operator", "tools"),
)
"""What images are built of, for which a link that leads out of the folder is no file."""


class BlockError(AssertionError):
    """A block did not end as the page says."""


def workshop(lab: Lab, shorter: Mapping[str, tuple[str, str]]) -> Path:
    """A folder like a clone of the repository as far as commands need it, with the programs in `bin`."""
    folder = lab.workdir / "docs"
    for name in ("bin", "programs"):
        (folder / name).mkdir(parents=True)
    for name in _LINKED:
        (folder / name).symlink_to(REPOSITORY / name)
    for name in _COPIED:
        _copy(REPOSITORY / name, folder / name, shutil.copy2)
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    for path, (wanted, instead) in shorter.items():
        text = Path(folder, path).read_text()
        assert wanted in text, f"{path} has no {wanted!r} to shorten"
        Path(folder, path).write_text(text.replace(wanted, instead))
    for name, entry in _PROGRAMS.items():
        module, function = entry.split(":")
        script = folder / "programs" / name
        path = f"import sys; sys.path.insert(0, {str(REPOSITORY / 'operator')!r})"
        script.write_text(f"#!{sys.executable}\n{path}\nfrom {module} import {function}\n{function}()\n")
        script.chmod(0o755)
    (folder / "bin" / "kubectl").symlink_to(kubectl())
    (folder / "bin" / "helm").symlink_to(lab.program("helm"))
    (folder / "bin" / "docker").symlink_to(docker(lab.workdir / DOCKER))
    return folder


def _copy(source: Path, target: Path, copy: Callable[[str, str], object]) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), copy_function=copy)
    else:
        copy(str(source), str(target))


def clean(folder: Path) -> Path:
    """The `bin` of a Python environment without Tidegate, with what Tidegate needs and what builds it at hand."""
    environment = folder / "clean"
    if environment.exists():
        return environment / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    at_hand = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(python_tools("build"))]
    (packages / "at_hand.pth").write_text("".join(f"{path}\n" for path in at_hand))
    return environment / "bin"


class Shell:
    """One reader of one page: a namespace of its own, the cluster's administrator.

    programs: where `tidegate` is; the reader's Python is the one there, if there is one.
    """

    def __init__(self, lab: Lab, folder: Path, programs: Path, namespace: str, variables: Mapping[str, str]) -> None:
        self._folder = folder / "readers" / namespace
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            own = self._folder / path.name
            if path.name in _COPIED and not own.exists():
                _copy(path, own, os.link)
            elif path.name != "readers" and not own.exists():
                own.symlink_to(path)
        self._path = (programs, folder / "bin")
        self._kubeconfig = self._folder / "kubeconfig"
        config = yaml.safe_load(lab.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = namespace
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(yaml.safe_dump(config))
        self._variables = variables
        self.namespace = namespace
        self.took: list[tuple[str, float]] = []

    def play(self, parts: Sequence[Block], before: Mapping[str, str]) -> None:
        """Run the blocks; raises BlockError at the first that does not end as it should."""
        with ExitStack() as background:
            for block in parts:
                if block.first in before:
                    self.run(before[block.first], f"what is there before {block}")
                began = time.monotonic()
                if block.language == "console":
                    self._session(block)
                elif block.text.startswith(tuple(SERVING)):
                    background.enter_context(self._behind(block.text, str(block)))
                else:
                    self.run(block.text, str(block))
                self.took.append((str(block), time.monotonic() - began))

    def run(self, text: str, called: str, timeout: float = 400) -> str:
        """Run a text in a shell that stops at the first command that fails; what it printed. Raises BlockError."""
        ended = self._start(text, subprocess.PIPE)
        try:
            told, _ = ended.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(ended.pid, signal.SIGKILL)
            told, _ = ended.communicate()
            raise BlockError(f"{called} takes more than {timeout:g} s\n{text}\n--- printed:\n{told}") from None
        if ended.returncode:
            raise BlockError(f"{called} ended with {ended.returncode}\n{text}\n--- printed:\n{told}")
        return told

    def _session(self, block: Block) -> None:
        printed = self.run(sessions.script(block.text), str(block)).replace(self.namespace, "default")
        if differs := sessions.compare(block.text, printed):
            raise BlockError(f"{block} shows what is not printed any more:\n{differs}")

    @contextmanager
    def _behind(self, text: str, called: str) -> Iterator[None]:
        with tempfile.TemporaryFile("w+") as output:
            running = self._start(text, output.fileno())
            serves = next(address for begin, address in SERVING.items() if text.startswith(begin))
            try:
                if serves:
                    wait_for(lambda: running.poll() is not None or _has_our_page(serves), f"{called} at {serves}")
                yield
                if running.poll() is not None:
                    output.seek(0)
                    raise BlockError(f"{called} has ended with {running.returncode}\n{text}\n{output.read()}")
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)
                running.wait()

    def _start(self, text: str, output: int) -> subprocess.Popen[str]:
        environ = {
            **{name: value for name, value in os.environ.items() if name not in _OURS},
            **self._variables,
            "PATH": os.pathsep.join([*map(str, self._path), os.environ["PATH"]]),
            "KUBECONFIG": str(self._kubeconfig),
            "HOME": str(self._folder),
            "TIDEGATE_CACHE": str(cache_dir()),
            "PYTHON": sys.executable,  # whose environment `make` finds in the cache
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # as pip reads it, the option is given
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "BROWSER": "true",  # nobody looks at a page that a command opens
        }
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", prepared(text)],
            cwd=self._folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def _has_our_page(address: str) -> bool:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return b"Tidegate</title>" in answer.read()


def prepared(text: str) -> str:
    """A block's text with the lab's images and addresses, and its exit codes as the shell understands them; without
    the command that runs this."""
    text = "\n".join(line for line in text.split("\n") if line != SELF)
    for ours, theirs in (IMAGES | ADDRESSES).items():
        text = text.replace(ours, theirs)
    return _EXIT.sub(r"if \1; then code=0; else code=$?; fi; [ $code -eq \2 ]", text)


def to_run(page: str) -> list[Block]:
    """A page's commands."""
    return [block for block in blocks(page) if block.language in RUN]
