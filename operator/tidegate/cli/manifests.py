"""Manifests from files, folders and standard input, with the line of each field."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.cli.lint.findings import Finding, Manifest
from tidegate.cli.told import Told

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(paths: Sequence[str]) -> tuple[list[Manifest], list[Finding]]:
    """Everything in these files, and what could not be read. Raises Told for a path that is not there."""
    manifests: list[Manifest] = []
    broken: list[Finding] = []
    for name, text in _texts(paths):
        try:
            manifests += parse(text, name)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 0
            said = str(getattr(error, "problem", None) or error).splitlines()[0]
            hint = "; render a Helm chart with `helm template` first" if "{{" in text else ""
            broken.append(Finding("error", "yaml", name, line, "", "", "", f"is not YAML: {said}{hint}"))
    return manifests, broken


def parse(text: str, name: str = "-") -> list[Manifest]:
    """The objects of a text; a List is taken apart. Raises yaml.YAMLError."""
    loader = _LOADER(text)
    try:
        found: list[Manifest] = []
        while loader.check_node():
            node = loader.get_node()
            raw = loader.construct_document(node)
            lines = dict(_lines(node, ""))
            found += _objects(raw, name, lines)
        return found
    finally:
        loader.dispose()


def _objects(raw: Any, name: str, lines: dict[str, int]) -> Iterator[Manifest]:
    if not isinstance(raw, dict):
        return
    if raw.get("kind") == "List" and isinstance(raw.get("items"), list):
        for index, item in enumerate(raw["items"]):
            at = f"items[{index}]"
            inner = {path[len(at) + 1 :]: line for path, line in lines.items() if path.startswith(f"{at}.")}
            yield from _objects(item, name, {"": lines.get(at, 0), **inner})
        return
    yield Manifest(raw, name, lines)


def _lines(node: Any, path: str) -> Iterator[tuple[str, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            yield from _lines(value, inner)
            yield inner, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, f"{path}[{index}]")


def _texts(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    for given in paths:
        if given == "-":
            yield "-", sys.stdin.read()
            continue
        path = Path(given)
        if not path.exists():
            raise Told(f"there is no file or folder {given}")
        files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file()) if path.is_dir() else [path]
        if not files:
            raise Told(f"there is no manifest ({', '.join(_SUFFIXES)}) in {given}")
        for file in files:
            try:
                yield str(file), file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Told(f"{file} can't be read: {error}") from None
