"""Whatever people get to see of a story: the objects, the operator's own addresses, the page, the command line."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import yaml

from lab.operator import Operator
from tests.scenarios.chronicle import ARGO
from tests.scenarios.planted import plain
from tests.scenarios.story import Story
from tests.scenarios.terminal import terminal

_KINDS: Final = (
    "rollouts,analysisruns,analysistemplates,experiments,jobs,replicasets,services,endpointslices,pods,events,leases,"
    "configmaps"
)
"""What the operator writes, and what others write because of it."""
_FORMS: Final = ((), ("-o", "json"), ("-o", "wide"))
_STREAM_SECONDS: Final = 1.0


def kept(story: Story) -> dict[str, str]:
    """All objects but Secrets, of every namespace."""
    return {"the objects": story.lab.kubectl("get", _KINDS, "-A", "-o", "yaml", "--show-managed-fields")}


def served(story: Story, running: Operator, page: str, rollouts: Sequence[str], visitor: Path) -> dict[str, str]:
    """What the operator serves to its neighbours, to a visitor of the page, and to one with a wrong token."""
    own, wrong = f"http://127.0.0.1:{running.port}", plain("visitor")
    token = yaml.safe_load(visitor.read_text())["users"][0]["user"]["token"]
    there = [f"{page}/api/rollouts/{story.namespace}/{name}" for name in rollouts]
    seen = {"phase": wrong}
    asked: dict[str, Any] = {
        **{url: {"url": url} for url in (f"{own}/metrics", f"{own}/healthz", f"{own}/readyz", page)},
        **{url: {"url": url, "token": token} for url in (f"{page}/api/me", f"{page}/api/rollouts", *there)},
        "a wrong token": {"url": f"{page}/api/me", "token": wrong},
        "a wrong sign-in": {"url": f"{page}/api/session", "body": {"token": wrong}},
        "a sign-in": {"url": f"{page}/api/session", "body": {"token": token}},
        "a button": {"url": f"{there[0]}/abort", "token": token, "body": {"seen": seen, "revision": 0}},
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = {what: pool.submit(_fetched, **how) for what, how in asked.items()}
        found = {what: answer.result() for what, answer in answers.items()}
    assert all(found.values()), [what for what, answer in found.items() if not answer]
    return found


def commanded(story: Story, rollouts: Sequence[str], files: str) -> dict[str, str]:
    """What every verb that shows something says, in every form. files: manifests for those that read them."""
    runs = [run["metadata"]["name"] for run in story.lab.client.list("AnalysisRun", story.namespace, api_version=ARGO)]
    calls: list[tuple[str, ...]] = [("dora",), ("version",), ("promote", rollouts[0]), ("retry", rollouts[0])]
    for form in _FORMS:
        calls += [("list", *form), ("list", "experiments", *form), ("get", "experiment", "trial", *form)]
        calls += [(verb, name, *form) for verb in ("get", "history") for name in rollouts]
        calls += [(verb, "-f", "-", *form) for verb in ("diff", "migrate")]
    for form in _FORMS[:2]:
        calls += [("status", name, "--timeout", "0", *form) for name in rollouts]
        calls += [("analysis", "explain", run, *form) for run in runs]
    said = {}
    with terminal() as opened:
        for call in calls:
            environ = {"KUBECONFIG": str(story.lab.kubeconfig)}
            ran = opened.run(*call, "-n", story.namespace, environ=environ, stdin=files)
            assert "Traceback" not in ran.err, ran
            said[" ".join(call)] = ran.out + ran.err
        ran = opened.run("lint", "-", environ={}, stdin=files)
        said["lint"] = ran.out + ran.err
        for path in _wrong_kubeconfigs(story):
            ran = opened.run("list", environ={"KUBECONFIG": str(path)})
            assert ran.code == 4, ran
            said[path.name] = ran.out + ran.err
    return said


def _wrong_kubeconfigs(story: Story) -> list[Path]:
    """One that is not YAML where its token stands, and one whose token nobody knows."""
    broken, wrong = story.lab.workdir / "broken.kubeconfig", story.lab.workdir / "wrong.kubeconfig"
    broken.write_text(f"users:\n- user: {{token: *{plain('kubeconfig')}}}\n")
    config = json.loads(story.lab.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = plain("kubeconfig")
    wrong.write_text(json.dumps(config))
    return [broken, wrong]


def _fetched(url: str, *, token: str = "", body: Any = None) -> str:
    """What an address answers, whatever the status: of a stream, its beginning."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        origin = url.partition("/api/")[0]
        headers |= {"Content-Type": "application/json", "X-Tidegate-Page": "1", "Origin": origin}
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode(), headers=headers)
    until, parts = time.monotonic() + _STREAM_SECONDS, [b""]
    try:
        with urllib.request.urlopen(request, timeout=_STREAM_SECONDS) as answer:
            while time.monotonic() < until and (part := answer.read1(1 << 20)):
                parts.append(part)
            return f"{answer.headers}\n" * ("api/session" not in url) + b"".join(parts).decode()
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}\n{error.read().decode()}"
    except TimeoutError:
        return b"".join(parts).decode()
