"""Writes the CustomResourceDefinitions from the models, so that what is documented is what is read.

    python -m tidegate.api.crds crds charts/tidegate/crds

The schema states types, and rules for what can be said of one object without doubt (`tidegate.api.cel`). Beyond that
the API server takes what Argo Rollouts' definitions take, and what is wrong with it is told in the object's status by
Tidegate. Unknown fields are kept and not pruned for the same reason: a field that the API server drops is one that
nobody can be told about. No defaults are filled in, so an object reads back as it was applied.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from tidegate.api import (
    analysis,
    analysis_status,
    compare,
    experiment,
    experiment_status,
    jobs,
    names,
    parts,
    providers,
    rollout,
    rollout_status,
)
from tidegate.api.cel import BOUNDS, RULES

_MODULES: Final[Sequence[ModuleType]] = (
    analysis,
    analysis_status,
    compare,
    experiment,
    experiment_status,
    jobs,
    parts,
    providers,
    rollout,
    rollout_status,
)
_HEADER: Final = "# Generated from tidegate.api by `python -m tidegate.api.crds`; do not edit.\n"

_KEPT: Final = ("type", "format", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
_LEFT_TO_STATUS: Final = frozenset({"RolloutSpec", "TemplateRef"})
"""Models whose required fields Argo Rollouts' definitions do not require; Tidegate tells about them in the
status."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; a wide one is shown with `-o wide`."""

    name: str
    type: str
    path: str
    description: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a definition says about a kind besides its schema."""

    name: str
    short_name: str
    description: str
    spec: type
    status: type | None = None
    namespaced: bool = True
    columns: tuple[Column, ...] = ()
    subresources: Mapping[str, Any] | None = None

    @property
    def plural(self) -> str:
        return f"{self.name.lower()}s"


_AGE: Final = Column("Age", "date", ".metadata.creationTimestamp", "Time since the object was created")

KINDS: Final[Sequence[Kind]] = (
    Kind(
        name=names.ROLLOUT,
        short_name="ro",
        description="A workload whose new versions take over in steps, and are undone when they do badly.",
        spec=rollout.RolloutSpec,
        status=rollout_status.RolloutStatus,
        columns=(
            Column("Desired", "integer", ".spec.replicas", "Pods that should run"),
            Column("Current", "integer", ".status.replicas", "Pods of all versions"),
            Column("Up-to-date", "integer", ".status.updatedReplicas", "Pods of the present template"),
            Column("Available", "integer", ".status.availableReplicas", "Pods that are available"),
            _AGE,
            Column("Phase", "string", ".status.phase", "Healthy, Progressing, Paused or Degraded", wide=True),
            Column("Step", "integer", ".status.currentStepIndex", "The index of the present step", wide=True),
            Column(
                "Weight",
                "integer",
                ".status.canary.weights.canary.weight",
                "Canary's traffic in %",
                wide=True,
            ),
        ),
        subresources={
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.HPAReplicas",
                "labelSelectorPath": ".status.selector",
            },
            "status": {},
        },
    ),
    Kind(
        name=names.ANALYSIS_TEMPLATE,
        short_name="at",
        description="What to measure about a new version, and what counts as good.",
        spec=analysis.AnalysisTemplateSpec,
        columns=(_AGE,),
    ),
    Kind(
        name=names.CLUSTER_ANALYSIS_TEMPLATE,
        short_name="cat",
        description="An AnalysisTemplate for Rollouts of every namespace.",
        spec=analysis.AnalysisTemplateSpec,
        namespaced=False,
        columns=(_AGE,),
    ),
    # No status subresource here and below, as with Argo Rollouts: where its definitions stay in place, one would be a
    # 404, and where ours do, its controller and its plugin write the status of these on the object.
    Kind(
        name=names.ANALYSIS_RUN,
        short_name="ar",
        description="One run of an analysis, with its measurements and its verdict.",
        spec=analysis.AnalysisRunSpec,
        status=analysis_status.AnalysisRunStatus,
        columns=(Column("Status", "string", ".status.phase", "The phase of the run"), _AGE),
    ),
    Kind(
        name=names.EXPERIMENT,
        short_name="exp",
        description="Versions that run beside each other for a time, and the analyses that compare them.",
        spec=experiment.ExperimentSpec,
        status=experiment_status.ExperimentStatus,
        columns=(Column("Status", "string", ".status.phase", "The phase of the Experiment"), _AGE),
    ),
)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": schema(kind.spec),
    }
    if kind.status is not None:
        properties["status"] = schema(kind.status)
    version: dict[str, Any] = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {
            "openAPIV3Schema": {
                "description": kind.description,
                "type": "object",
                "required": ["spec"],
                "properties": properties,
            }
        },
    }
    if kind.subresources is not None:
        version["subresources"] = dict(kind.subresources)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def schema(model: type) -> dict[str, Any]:
    """A model as a structural schema of apiextensions.k8s.io/v1: no references, no unions, a type in every
    node."""
    document = TypeAdapter(model).json_schema()
    definitions = document.pop("$defs", {})
    described = {"title": model.__name__, **document}
    found = _structural(described, definitions)
    if model is rollout.RolloutSpec:
        found["properties"]["selector"] |= {
            "x-kubernetes-map-type": "atomic",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": ".spec.selector is immutable"}],
        }
    return found


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    node = _resolved(node, definitions)
    kept: dict[str, Any] = {}
    if "description" in node:
        kept["description"] = " ".join(node["description"].split())
    kept |= {key: node[key] for key in _KEPT if key in node}
    if "x-kubernetes-int-or-string" in node:
        kept["anyOf"] = node["anyOf"]
    elif "properties" in node:
        kept |= _structural_object(node, definitions)
    elif "items" in node:
        kept["items"] = _structural(node["items"], definitions)
    elif isinstance(node.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    return kept


def _structural_object(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    docs = _field_docs(node["title"])
    kept: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
    if node.get("required") and node["title"] not in _LEFT_TO_STATUS:
        kept["required"] = sorted(node["required"])
    properties = {
        name: _structural({**inner, "description": docs[name]}, definitions)
        for name, inner in sorted(node["properties"].items())
    }
    for name, bounds in BOUNDS.get(node["title"], {}).items():
        properties[name] |= bounds
    if properties:  # The API server drops an empty one, and takes the next apply by another manager for a conflict.
        kept["properties"] = properties
    if rules := RULES.get(node["title"]):
        kept["x-kubernetes-validations"] = [rule.raw() for rule in rules]
    return kept


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node with its reference followed and its null left out; what it says itself goes before what it
    refers to."""
    while True:
        if "$ref" in node:
            target = definitions[node["$ref"].rpartition("/")[2]]
        elif "anyOf" in node and "x-kubernetes-int-or-string" not in node:
            (target,) = (option for option in node["anyOf"] if option != {"type": "null"})
        else:
            return node
        node = {**target, **{key: value for key, value in node.items() if key not in {"$ref", "anyOf"}}}


@cache
def _field_docs(model: str) -> dict[str, str]:
    """The docstrings below a model's fields, by the fields' JSON names.

    They are read from the source here and not by pydantic, which would do so at every start of the operator.
    """
    (found,) = (getattr(module, model) for module in _MODULES if _defines(module, model))
    docs: dict[str, str] = {}
    for base in reversed(found.__mro__):
        docs |= dict(_attribute_docs(base))
    return {info.alias: docs[name] for name, info in found.__pydantic_fields__.items()}


def _defines(module: ModuleType, name: str) -> bool:
    return getattr(getattr(module, name, None), "__module__", None) == module.__name__


def _attribute_docs(model: type) -> Iterator[tuple[str, str]]:
    if not any(model.__module__ == module.__name__ for module in _MODULES):
        return
    (body,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(after.value, ast.Constant)
            yield field.target.id, str(after.value.value)


def _column(column: Column) -> dict[str, Any]:
    shown = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return {**shown, "priority": 1} if column.wide else shown


def render() -> dict[str, str]:
    """Every definition as a file: its name and its content."""
    return {
        f"{kind.plural}.yaml": _HEADER + yaml.safe_dump(definition(kind), sort_keys=False, width=110) for kind in KINDS
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the definitions into directories, or with --check only say whether they are as they should be."""
    parser = argparse.ArgumentParser(prog="python -m tidegate.api.crds", description=main.__doc__)
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIRECTORY")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is missing or differs")
    options = parser.parse_args(arguments)
    files, stale = render(), []
    for directory in options.directories:
        for name, content in files.items():
            path = directory / name
            if path.is_file() and path.read_text(encoding="utf-8") == content:
                continue
            if options.check:
                stale.append(path)
            else:
                directory.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
    for path in stale:
        sys.stderr.write(f"{path} is not what the models say; run `python -m tidegate.api.crds` to write it anew\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
