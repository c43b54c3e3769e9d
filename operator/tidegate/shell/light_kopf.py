"""kopf without the official client library behind it.

kopf imports the `kubernetes` package when it finds one, only to recognise its objects in handlers. None of ours does
that, and it costs 19 MB and half a second. `tidegate.shell.login` loads the package where a kubeconfig needs its login
plugins.
"""

from __future__ import annotations

from tidegate.light import without

with without("kubernetes"):
    import kopf

__all__ = ["kopf"]
