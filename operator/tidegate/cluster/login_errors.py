"""Why nobody could be logged in."""

from __future__ import annotations

from tidegate.cluster.errors import ClusterError


class LoginError(ClusterError):
    """There is no way to a cluster; the text says why and what to do."""
