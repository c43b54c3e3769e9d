"""What answers of GraphQL servers have in common: a 200 may still hold nothing but errors."""

from __future__ import annotations

from typing import Any


def complaint(answer: Any) -> str:
    """What a server says went wrong; empty for an answer without errors."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if not errors:
        return ""
    said = errors if isinstance(errors, list) else [errors]
    return "; ".join(str(error.get("message") if isinstance(error, dict) else error) for error in said[:3])
