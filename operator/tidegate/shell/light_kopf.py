"""kopf without the official client library behind it.

kopf imports the `kubernetes` package when it finds one, only to recognise its objects in handlers. None of ours does
that, and it costs 19 MB and half a second. kopf's own way of coping with a missing package is what is used here; the
package itself stays importable, and `tidegate.shell.login` loads it where a kubeconfig needs its login plugins.
"""

from __future__ import annotations

import sys

_absent = "kubernetes" not in sys.modules
if _absent:
    sys.modules["kubernetes"] = None  # type: ignore[assignment]
try:
    import kopf
finally:
    if _absent:
        del sys.modules["kubernetes"]

__all__ = ["kopf"]
