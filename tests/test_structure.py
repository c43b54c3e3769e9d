"""The structure of the code: imports go one way, and nothing shadows the standard library."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from pathlib import Path

from lab.paths import REPOSITORY


def test_imports_go_one_way() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [command, "--no-cache"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "operator"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stdout


def test_the_source_root_does_not_shadow_the_standard_librarys_operator() -> None:
    assert not (REPOSITORY / "operator" / "__init__.py").exists()
    assert operator.add(1, 2) == 3
