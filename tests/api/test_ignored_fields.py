"""The tool that proves the tests on docs/compatibility.md tells a field that they miss from one that they do not.

All fields take minutes (`make fields`); here are two, one of them never used. So it also still fits the program.
"""

from __future__ import annotations

import subprocess
import sys

from tests.api.test_compatibility_table import ROOT


def test_given_a_field_when_ignored_then_it_is_said_whether_its_tests_fail() -> None:
    asked = [sys.executable, "-m", "tools.ignored_fields", "rollbackWindow.revisions", "weights.verified"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout + told.stderr
    unused, summary = told.stdout.splitlines()
    assert unused == "Rollout status.canary.weights.verified: never written, and read by nobody"
    assert summary.startswith("2 fields in ") and summary.endswith(
        ": 1 shown by its use, 1 never written, and read by nobody"
    )
