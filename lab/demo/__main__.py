"""`python -m lab.demo`, to be run inside a lab's namespace: `make demo`.

Environment: OUT=file.json for the summary as JSON; KEEP=1 to leave everything running until Ctrl-C;
PICTURE=file.svg for a picture of the screen and the summary. All optional.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console

from lab import netns, toolchain
from lab.cluster import Lab
from lab.demo.picture import Picture
from lab.demo.screen import Lines, Screen
from lab.demo.story import CANARY, CAST, HOSTS, NAMESPACE, FailedError, Story
from lab.demo.summary import Summary
from lab.demo.traffic import Users
from lab.demo.watching import Stage
from lab.operator import install, operator
from lab.paths import LabError


def main() -> int:
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _demo(console)
    except KeyboardInterrupt:
        console.print("demo: stopped")
        return 130
    except (LabError, FailedError, TimeoutError) as error:
        console.print(f"demo: {error}", style="red", markup=False, highlight=False)
        return 1


def _demo(console: Console) -> int:
    """Everything from an empty machine to the exit code."""
    began = time.monotonic()
    console.print("demo: starting etcd, Kubernetes, Istio, Envoy and Prometheus", highlight=False)
    with Lab.start() as lab, ExitStack() as stack:
        try:
            console.print(
                f"demo: the lab is up after {time.monotonic() - began:.1f} s; starting Tidegate", highlight=False
            )
            stack.enter_context(operator(lab, install(lab)))
            users = stack.enter_context(Users())
            summary = _tell(console, lab, users)
            _report(console, summary)
            if os.environ.get("KEEP"):
                _keep(console, lab)
            if problems := summary.problems():
                raise FailedError("\n".join(["The story did not go as it should.", *problems]))
        except FailedError as error:
            raise FailedError(f"{error}\nLogs: {lab.workdir}") from error
    return 0


def _tell(console: Console, lab: Lab, users: Users) -> Summary:
    """Play the story on a screen, or in lines where there is none."""
    plain = not console.is_terminal or bool(os.environ.get("CI"))
    lines = Lines(console)
    stage = Stage(lab.client, lab.envoy_admin_url, CAST, lines.tell if plain else lambda _: None)
    story = Story(lab, users, stage)
    picture = Picture() if os.environ.get("PICTURE") else None

    def telling() -> None:
        if picture is not None:
            picture.add(Screen(picture.console, story, stage, users).frame(lines=40))

    shown = lines.live(story, stage, users) if plain else Screen(console, story, stage, users).live()
    try:
        with shown:
            story.set_stage()
            summary = story.play(telling)
    finally:
        stage.stop()
    if picture is not None:
        picture.add("", summary.table())
        picture.write(Path(os.environ["PICTURE"]))
    return summary


def _report(console: Console, summary: Summary) -> None:
    console.print()
    console.print(summary.table())
    if remark := summary.remark():
        console.print(remark, style="yellow")
    if out := os.environ.get("OUT"):
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(summary.as_json(), indent=2) + "\n")


def _keep(console: Console, lab: Lab) -> None:
    """Leave everything running, users included, until Ctrl-C."""
    kubectl = toolchain.kubectl()
    shell = os.environ.get("SHELL", "sh")
    path = f"PATH={shlex.quote(str(kubectl.parent))}:$PATH"
    image = '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "lab.local/app:v4"},'
    console.print(
        f"""
Everything is left running, with {HOSTS[CANARY]}'s users. Open a shell in the lab's network, from another terminal:

  {netns.enter_command()} env KUBECONFIG={lab.kubeconfig} {path} {shell}

There, for example:
  kubectl -n {NAMESPACE} get rollout,analysisrun,pods
  kubectl -n {NAMESPACE} patch rollout {CANARY} --type json -p '{image}
    {{"op": "remove", "path": "/spec/template/spec/containers/0/env"}}]'      the next good release
  curl -H 'Host: {HOSTS[CANARY]}' {lab.gateway_url}/          as a user
  curl '{lab.prometheus_url}/api/v1/query?query=up'    Prometheus
  curl {lab.envoy_admin_url}/clusters               what Envoy knows

Logs of everything: {lab.workdir}
Ctrl-C ends it all.""",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("demo: stopping")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
