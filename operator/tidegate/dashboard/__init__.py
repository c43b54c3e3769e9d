"""The web page: Rollouts live, and what a person may ask of them, with that person's own rights.

Loaded only where a page is wanted: by the operator with --page-port, or by `tidegate dashboard`. An operator without it
pays nothing.
"""
