"""What is wrong with manifests, found without a cluster. Pure: from manifests to findings.

`schema` reads each object as the operator would; `references` looks from one to the other; `steps` and `measuring` find
what is allowed and still can't be meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidegate.cli.lint.findings import Finding, Manifest, Manifests
from tidegate.cli.lint.measuring import check_measuring
from tidegate.cli.lint.references import check_references, check_sharing
from tidegate.cli.lint.schema import check_schema, read_rollout
from tidegate.cli.lint.steps import check_services, check_steps

__all__ = ["Finding", "Manifest", "Manifests", "lint"]


def lint(manifests: Iterable[Manifest]) -> list[Finding]:
    """Every finding, in the order of the files and of the lines in them."""
    known = Manifests(tuple(manifests))
    found = [finding for manifest in known.all for finding in _check(manifest, known)]
    found += check_sharing(known)
    order = {manifest.file: number for number, manifest in reversed(list(enumerate(known.all)))}
    return sorted(dict.fromkeys(found), key=lambda finding: (order.get(finding.file, -1), finding.line, finding.path))


def _check(manifest: Manifest, known: Manifests) -> Iterator[Finding]:
    yield from check_schema(manifest, known)
    if manifest.kind == "Rollout":
        spec = read_rollout(manifest, known)[0]
        if spec is not None:
            yield from check_references(manifest, spec, known)
            yield from check_steps(manifest, spec, known)
    elif manifest.kind == "Experiment":
        yield from check_services(manifest)
    else:
        yield from check_measuring(manifest)
