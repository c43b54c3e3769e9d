"""The program `kubectl_complete-tidegate`, which kubectl runs to complete `kubectl tidegate …`."""

from __future__ import annotations

import os
import shlex
import sys

from tidegate.cli import main as program
from tidegate.cli.printing import echo
from tidegate.cli.words import COMPLETING


def main() -> None:
    """Entry point. It gets the words after `tidegate`, the last of them unfinished, and answers with a candidate a line
    and a directive in cobra's form: 4, no file names."""
    words = ["tidegate", *sys.argv[1:]]
    os.environ[COMPLETING] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join(words)
    os.environ["COMP_CWORD"] = str(len(words) - 1)
    sys.argv = ["tidegate"]
    try:
        program.main()
    finally:
        echo(":4")
        sys.stdout.flush()
