"""Answers in the API server's words: one constructor for each kind of refusal."""
# ruff: noqa: N818  (they say what happened; callers turn them into answers)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .kinds import FieldError, Obj, Resource


@dataclass(frozen=True, slots=True)
class Response:
    """A status code and the JSON body."""

    status: int
    body: Obj
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The request gets this answer instead of an effect."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status} {response.body.get('reason', '')}: {response.body.get('message', '')}")
        self.response = response


def failure(code: int, reason: str, message: str, details: Obj | None = None) -> Response:
    body: Obj = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    return Response(code, body | {"code": code})


def success(resource: Resource, obj: Obj) -> Response:
    """What a delete answers once the object is gone."""
    details = _details(resource, obj["metadata"]["name"]) | {"uid": obj["metadata"]["uid"]}
    return Response(
        200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    )


def not_found(resource: Resource, name: str) -> Refused:
    message = f'{resource.qualified_plural} "{name}" not found'
    return Refused(failure(404, "NotFound", message, _details(resource, name)))


def already_exists(resource: Resource, name: str) -> Refused:
    message = f'{resource.qualified_plural} "{name}" already exists'
    return Refused(failure(409, "AlreadyExists", message, _details(resource, name)))


def conflict(resource: Resource, name: str, why: str) -> Refused:
    message = f'Operation cannot be fulfilled on {resource.qualified_plural} "{name}": {why}'
    return Refused(failure(409, "Conflict", message, _details(resource, name)))


def stale(resource: Resource, name: str) -> Refused:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


_PRECONDITIONS = {
    "uid": ("UID", "The object might have been deleted and then recreated"),
    "resourceVersion": ("ResourceVersion", "The object might have been modified"),
}


def delete_conflict(resource: Resource, name: str, field: str, wanted: str, present: str) -> Refused:
    """A delete's precondition that fails. Here, and only here, the server names the kind, not the plural."""
    label, guess = _PRECONDITIONS[field]
    message = (
        f'Operation cannot be fulfilled on {resource.qualified_kind} "{name}": the {label} in the precondition '
        f"({wanted}) does not match the {label} in record ({present}). {guess}"
    )
    return Refused(failure(409, "Conflict", message, _details(resource, name) | {"kind": resource.kind}))


def precondition(what: str, wanted: str, present: str) -> str:
    return f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {present}"


def invalid(resource: Resource, name: str, errors: Sequence[FieldError]) -> Refused:
    texts = [f"{error.field}: {error.message}" for error in errors]
    what = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(resource, name) | {
        "kind": resource.kind,
        "causes": [{"reason": e.reason, "message": e.message, "field": e.field} for e in errors],
    }
    return Refused(failure(422, "Invalid", f'{resource.qualified_kind} "{name}" is invalid: {what}', details))


def bad_request(message: str) -> Refused:
    return Refused(failure(400, "BadRequest", message))


def patch_failed(message: str) -> Refused:
    # The real server doesn't say which operation failed; this one does, for whoever reads a failing test.
    rejected = "the server rejected our request due to an error in our request"
    return Refused(failure(422, "Invalid", f"{rejected} ({message})", {}))


def unsupported_media(content_type: str) -> Refused:
    message = f"the body of the request was in an unknown format: {content_type}"
    return Refused(failure(415, "UnsupportedMediaType", message, {}))


def expired(message: str) -> Response:
    return failure(410, "Expired", message)


def no_such_path() -> Response:
    return failure(404, "NotFound", "the server could not find the requested resource", {})


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details = {"name": name, "kind": resource.plural}
    return details | {"group": resource.group} if resource.group else details
