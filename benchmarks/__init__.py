"""How fast and how frugal the operator is, measured on the lab's real API server.

`make bench` prints one table; `docs/performance.md` holds the last one that was recorded and says what it means. A peer
of the same API is measured on the same work in the same run with CONTROLLER='command line'.
"""
