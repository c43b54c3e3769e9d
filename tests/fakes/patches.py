"""The two patch languages as the API server applies them.

They are written out here, not taken from the code under test, because the fake API must judge the patches
that the operator sends, not agree with them.
"""
# ruff: noqa: N818  (they say what happened; callers turn them into answers)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_MISSING: Final = object()


class PatchFailed(Exception):
    """An operation can't be applied to this document: answered with 422."""


class PatchMalformed(Exception):
    """The patch itself isn't one: answered with 400."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386. Shares unchanged parts of `target`; neither argument is modified."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902, all or nothing. Shares unchanged parts of `document`; neither argument is modified."""
    if not isinstance(operations, Sequence) or isinstance(operations, str | bytes):
        raise PatchMalformed("a JSON patch is a list of operations")
    for operation in operations:
        document = _apply(document, operation)
    return document


def _apply(document: Any, operation: Any) -> Any:
    if not isinstance(operation, Mapping) or not isinstance(operation.get("path"), str):
        raise PatchMalformed(f"not an operation with a path: {operation!r}")
    path = operation["path"]
    match operation.get("op"):
        case "test":
            found = _read(document, path)
            wanted = operation.get("value")
            # A missing member equals null for the server's library.
            if (None if found is _MISSING else found) != wanted or isinstance(found, bool) != isinstance(wanted, bool):
                raise PatchFailed(f"testing value {path} failed")
            return document
        case "add":
            return _edit(document, _tokens(path), operation.get("value"), "add")
        case "replace":
            return _edit(document, _tokens(path), operation.get("value"), "replace")
        case "remove":
            return _edit(document, _tokens(path), _MISSING, "remove")
        case "copy" | "move" as op:
            value = _read(document, operation.get("from", ""))
            if value is _MISSING:
                raise PatchFailed(f"{op} operation does not apply: missing from path {operation.get('from')!r}")
            if op == "move":
                document = _edit(document, _tokens(operation["from"]), _MISSING, "remove")
            return _edit(document, _tokens(path), value, "add")
        case other:
            raise PatchFailed(f"Unexpected kind: {other}")


def _tokens(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise PatchFailed(f"doc is missing path {path!r}")
    return [token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/")]


def _read(document: Any, path: str) -> Any:
    for token in _tokens(path):
        if isinstance(document, Mapping):
            document = document.get(token, _MISSING)
        elif isinstance(document, Sequence) and not isinstance(document, str) and _index(token, len(document) - 1) >= 0:
            document = document[int(token)]
        else:
            return _MISSING
    return document


def _edit(node: Any, tokens: list[str], value: Any, op: str) -> Any:
    if not tokens:
        return value
    token, rest = tokens[0], tokens[1:]
    if isinstance(node, Mapping):
        changed: Any = dict(node)
        # The server's library lets `replace` make a member that is missing.
        if rest or op == "remove":
            _need(token in changed, op, token)
        if rest:
            changed[token] = _edit(changed[token], rest, value, op)
        elif op == "remove":
            del changed[token]
        else:
            changed[token] = value
        return changed
    if isinstance(node, Sequence) and not isinstance(node, str):
        changed = list(node)
        if not rest and op == "add":
            at = len(changed) if token == "-" else _index(token, len(changed))
            _need(at >= 0, op, token)
            changed.insert(at, value)
            return changed
        at = _index(token, len(changed) - 1)
        _need(at >= 0, op, token)
        if rest:
            changed[at] = _edit(changed[at], rest, value, op)
        elif op == "remove":
            del changed[at]
        else:
            changed[at] = value
        return changed
    raise PatchFailed(f"{op} operation does not apply: doc is missing path at {token!r}")


def _index(token: str, last: int) -> int:
    """The position that a token names in a list, or -1."""
    return int(token) if token.isdigit() and int(token) <= last else -1


def _need(holds: bool, op: str, token: str) -> None:
    if not holds:
        raise PatchFailed(f"{op} operation does not apply: doc is missing key or index {token!r}")
