"""What the server keeps, refuses and takes from the stored object when one is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .kinds import FieldError, Obj, Resource
from .patches import PatchFailed, PatchMalformed, json_patch, merge_patch
from .status import bad_request, conflict, invalid, patch_failed, precondition, stale, unsupported_media

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class Target:
    resource: Resource
    namespace: str
    name: str
    subresource: str


def check_identity(at: Target, old: Obj, metadata: Obj, *, replacing: bool) -> None:
    """Refuse what names another object or another version than the stored one."""
    present = old["metadata"]
    if metadata.get("name", "") != at.name:
        given = metadata.get("name", "")
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({at.name})")
    if at.resource.namespaced and metadata.get("namespace", at.namespace) != at.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if replacing and metadata.get("uid", present["uid"]) != present["uid"]:
        raise conflict(at.resource, at.name, precondition("UID", metadata["uid"], present["uid"]))
    version = metadata.get("resourceVersion", "")
    if not version and not at.resource.unconditional:
        must = "Invalid value: 0: must be specified for an update"
        raise invalid(at.resource, at.name, [FieldError("FieldValueInvalid", "metadata.resourceVersion", must)])
    if version and version != present["resourceVersion"]:
        raise stale(at.resource, at.name)


def confine(at: Target, old: Obj, new: Obj, metadata: Obj) -> Obj:
    """Let a status write change the status, and any other write everything else."""
    present = old["metadata"]
    if at.subresource == "status":
        if at.resource.custom:
            metadata.clear()
            metadata.update(present)
        other = {k: v for k, v in old.items() if k not in ("status", "metadata")}
        new = other | {"metadata": metadata} | ({"status": new["status"]} if "status" in new else {})
    elif at.resource.status:
        other = {k: v for k, v in new.items() if k not in ("status", "metadata")}
        new = other | {"metadata": metadata} | ({"status": old["status"]} if "status" in old else {})
    else:
        new = {**new, "metadata": metadata}
    metadata.setdefault("uid", present["uid"])
    if "deletionTimestamp" in present:
        metadata["deletionTimestamp"] = present["deletionTimestamp"]
    for kept in ("creationTimestamp", "generation", "deletionGracePeriodSeconds", "namespace"):
        metadata.pop(kept, None)
        if kept in present:
            metadata[kept] = present[kept]
    metadata["resourceVersion"] = present["resourceVersion"]
    for optional in ("labels", "annotations", "finalizers", "ownerReferences"):
        if optional in metadata and not metadata[optional]:
            del metadata[optional]
    return new


def patcher(content_type: str, body: Any) -> Callable[[Obj], Any]:
    def change(old: Obj) -> Any:
        try:
            if content_type == MERGE_PATCH:
                return merge_patch(old, body)
            return json_patch(old, body)
        except PatchMalformed as error:
            raise bad_request(str(error)) from error
        except PatchFailed as error:
            raise patch_failed(str(error)) from error

    if content_type not in (MERGE_PATCH, JSON_PATCH):
        raise unsupported_media(content_type)
    if content_type == MERGE_PATCH and not isinstance(body, dict):
        raise bad_request("error decoding patch: a merge patch is an object")
    return change


def counted(resource: Resource, obj: Obj) -> Obj:
    apart = ("metadata", "status") if resource.status else ("metadata",)
    return {k: v for k, v in obj.items() if k not in apart}
