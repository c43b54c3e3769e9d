"""The verb `lint`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from tidegate.cli.lint import lint as check
from tidegate.cli.manifests import read
from tidegate.cli.printing import Output, dump, echo, note


def lint(files: Sequence[str], output: Output | None, *, strict: bool) -> int:
    """Check manifests; the exit code: 1 where there are errors, or warnings that count as such. Raises Told."""
    manifests, broken = read(files)
    found = [*broken, *check(manifests)]
    errors = sum(finding.severity == "error" for finding in found)
    warnings = len(found) - errors
    if output in (Output.json, Output.yaml):
        items = [asdict(finding) for finding in found]
        dump({"errors": errors, "warnings": warnings, "objects": len(manifests), "findings": items}, output)
    elif output is Output.name:
        for file in dict.fromkeys(finding.file for finding in found):
            echo(file)
    else:
        for finding in found:
            echo(str(finding))
        looked = sum(bool(manifest.kind) for manifest in manifests)
        note(f"{_count(errors, 'error')}, {_count(warnings, 'warning')} in {_count(looked, 'object')}")
    return 1 if errors or (strict and warnings) else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
