"""The steps `setHeaderRoute` and `setMirrorRoute`: some users are led, or copied, to the canary whatever the weights.

What a step has set stays in force in the steps after it, until one takes it back or the update ends.
"""

from __future__ import annotations

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout.aims import routes_at
from tidegate.core.rollout.pointing import canary_stands_for
from tidegate.core.rollout.release import Draft


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when the routes are as this step and those before it have it, and lead to a pod of the new version."""
    release, traffic = draft.release, draft.world.traffic
    if traffic is None or not release.replicas:
        return True
    wanted = routes_at(release.canary.steps, index)
    if not wanted and not traffic.managed():
        return True
    if release.new is None or not canary_stands_for(draft, release.new):
        return False
    ready = not wanted or release.available > 0
    return ready and not traffic.split(traffic.observe().canary, wanted)
