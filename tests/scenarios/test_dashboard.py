"""The page in a real browser against the real operator: every button, by mouse and by keyboard alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser

from lab import manifests as m
from lab.cluster import Lab
from lab.operator import Operator, install, operator
from lab.paths import REPOSITORY, cache_dir
from tests.scenarios.browser import Visit, chromium, visit
from tests.scenarios.chronicle import ARGO, Obj
from tests.scenarios.story import HASH, Story, analysis, by_host, canary, rollout, split_by_host, template, wait, weigh

pytestmark = pytest.mark.lab

PAGE = "http://localhost:8092"


@pytest.fixture(scope="module")
def tidegate(lab: Lab, installed: Path) -> Iterator[Operator]:
    """An operator with the page, under the roles that the chart gives it then."""
    account = install(lab, "page.enabled=true")
    with operator(lab, account, "--page-port=8092", "--page-address=127.0.0.1") as running:
        yield running
    install(lab)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def pictures() -> Path:
    """Where they stay when the lab is gone."""
    return cache_dir() / "pictures"


@contextmanager
def on_a_laptop(story: Story) -> Iterator[str]:
    """`tidegate dashboard`; the address that it prints."""
    environ = {**os.environ, "KUBECONFIG": str(story.lab.kubeconfig), "PYTHONPATH": str(REPOSITORY / "operator")}
    command = [sys.executable, "-m", "tidegate", "dashboard", "--no-open", "-n", story.namespace]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as ran:
        assert ran.stdout is not None
        try:
            yield ran.stdout.readline().strip()
        finally:
            ran.terminate()
            assert ran.wait(20) == 0


def token(story: Story, role: str) -> str:
    """A token of somebody who has this role in the story's namespace."""
    config = yaml.safe_load(story.somebody(role).read_text())
    found: str = config["users"][0]["user"]["token"]
    return found


def compared(story: Story, owner: Obj) -> Obj:
    """An AnalysisRun as the judge leaves it behind. It belongs to another operator, so ours leaves it alone."""
    arms = {"canary": {"bad": 31.0, "total": 1000.0}, "stable": {"bad": 16.0, "total": 4100.0}}
    trail = [[look, round(0.02 * look**1.6, 2), round(0.2 - 0.03 * look, 2)] for look in range(1, 13)]
    compare = {
        "kind": "counts",
        "verdict": "worse",
        "message": "canary fails 3.1 % of 1,000 requests, stable 0.39 % of 4,100: 7.9 times as often",
        "record": {"arms": arms, "ratio": {"value": 7.9, "lower": 4.4}, "looks": 12, "trail": trail},
    }
    labels = {HASH: owner["status"]["currentPodHash"], "argo-rollouts.argoproj.io/controller-instance-id": "another"}
    owners = [
        {"apiVersion": ARGO, "kind": "Rollout", "name": "app", "uid": owner["metadata"]["uid"], "controller": True}
    ]
    return {
        "apiVersion": ARGO,
        "kind": "AnalysisRun",
        "metadata": {"name": "app-judged", "labels": labels, "ownerReferences": owners},
        "spec": {"metrics": []},
        "status": {"phase": "Failed", "metricResults": [{"name": "errors", "phase": "Failed", "compare": compare}]},
    }


def test_every_button_by_mouse_from_a_laptop(alone: Story, browser: Browser, pictures: Path) -> None:
    story = alone
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(template("steady", "vector(0.98)", successCondition="result[0] >= 0.95"))
    strategy = by_host(weigh(20), wait(), weigh(50), wait(), analysis=analysis("steady"))
    story.apply(rollout("v1", strategy), rollout("v1", canary(weigh(50), wait()), name="other", replicas=1))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    paused = story.until_phase("Paused")
    story.apply(compared(story, story.rollout()))

    with on_a_laptop(story) as address, visit(browser, pictures) as seen:
        page = seen.page
        page.goto(address)
        page.get_by_role("link", name="app", exact=True).wait_for()
        assert "key=" not in page.url
        seen.says("2 Rollouts: 1 waits for a person.")
        seen.picture("list-desktop")

        page.get_by_role("link", name="app", exact=True).click()
        seen.state("Paused")
        seen.says("step 2 of 4 pauses until somebody promotes")
        page.locator("#analyses .chart").first.wait_for()
        seen.says("96.9 %")
        page.locator("#traffic path.line.canary").wait_for(state="attached")  # a level line has no height to be seen by
        seen.picture("rollout-desktop")
        seen.drawing("rollout", height=1250)

        seen.press("pause")
        story.until(lambda: story.rollout()["spec"].get("paused"), "spec.paused")
        seen.press("resume")
        story.until(lambda: story.rollout()["spec"].get("paused") is False, "spec.paused taken away")
        seen.ready("pause")  # What is pressed next has to be about what is seen then.
        seen.press("promote")
        story.until(lambda: story.status().get("currentStepIndex") == 3, "the second pause")
        seen.says("Steps: 3 of 4 done")
        assert story.weight() == 50
        seen.press("abort", sure=True)
        seen.state("Degraded")
        assert story.weight() == 0
        seen.picture("rollout-aborted")
        seen.press("retry")
        story.until(lambda: story.status().get("currentStepIndex") == 1, "the first pause again")
        seen.state("Paused")
        seen.press("skip", sure=True)
        story.until(lambda: story.status().get("currentStepIndex") == 3, "the second pause again")
        seen.press("promote-full", sure=True)
        seen.state("Healthy")
        assert story.status()["stableRS"] == paused["currentPodHash"]

        before = {pod["metadata"]["name"] for pod in story.lab.client.list("Pod", story.namespace)}
        seen.press("restart", sure=True)
        asked = story.until(lambda: story.rollout()["spec"].get("restartAt"), "spec.restartAt")
        story.until(lambda: story.status().get("restartedAt") == asked, "the restart done")
        after = {pod["metadata"]["name"] for pod in story.lab.client.list("Pod", story.namespace)}
        assert after != before
        seen.ready("undo")
        page.click("#do-undo")
        seen.picture("undo")
        page.select_option("#to-revision", "1")
        page.click("#sure-yes")
        story.until(lambda: story.status().get("stableRS") != story.status().get("currentPodHash"), "the way back")
        assert _image(story).endswith(":v1")

        for name, more in LOOKS.items():
            with visit(browser, pictures, **more) as other:
                other.page.goto(address)
                other.says("2 Rollouts")
                other.picture(f"list-{name}")
                assert not other.overflows()
                other.page.get_by_role("link", name="app", exact=True).click()
                other.state("Paused")
                other.page.locator("#events li").first.wait_for()
                other.picture(f"rollout-{name}")
                assert not other.overflows()


def _image(story: Story) -> str:
    found: str = story.get("Rollout")["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


LOOKS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "has_touch": True},
    "dark": {"color_scheme": "dark"},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "reduced_motion": "reduce"},
}


def test_beside_the_operator_by_keyboard_alone(alone: Story, browser: Browser, pictures: Path) -> None:
    story = alone
    strategy = canary(weigh(50), wait(), wait())
    story.apply(rollout("v1", strategy), {"apiVersion": ARGO, **SECRETIVE})
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused")

    with visit(browser, pictures) as seen:
        page, keys = seen.page, seen.page.keyboard
        page.goto(PAGE)
        sign_in(seen, "nonsense")
        seen.says("The API server does not accept this token")
        seen.picture("sign-in")
        keys.press("Control+a")
        sign_in(seen, token(story, "edit"))
        seen.tab_to("a[data-key$='/app']")
        keys.press("Enter")
        seen.state("Paused")

        def press(button: str, *, sure: bool = False) -> None:
            seen.ready(button)
            seen.tab_to(f"#do-{button}")
            keys.press("Enter")
            if sure:
                page.locator("#sure-yes:focus").wait_for()
                keys.press("Enter")
                page.locator(f"#do-{button}:focus").wait_for()

        press("promote")
        story.until(lambda: story.status().get("currentStepIndex") == 2, "the next step")
        seen.ready("abort")
        seen.tab_to("#do-abort")
        keys.press("Space")
        keys.press("Escape")
        assert not story.status().get("abort")
        keys.press("Space")
        page.locator("#sure-yes:focus").wait_for()
        # As fast as a busy browser makes it: the question stands again before the end of the first has been told.
        page.evaluate("document.getElementById('sure').close(); document.getElementById('do-abort').click()")
        page.locator("#sure-yes:focus").wait_for()
        keys.press("Enter")
        page.locator("#do-abort:focus").wait_for()
        seen.state("Degraded")
        press("retry")
        seen.state("Paused")
        assert "abort" not in story.status() or not story.status()["abort"]
        assert page.evaluate("document.activeElement.id") == "do-retry"  # What one was at stays where it was.

        press("pause")
        seen.ready("resume")
        assert page.evaluate("document.activeElement.id") == "do-resume"  # It stands where Pause stood.
        press("resume")
        seen.ready("pause")
        press("skip", sure=True)
        story.until(lambda: story.status().get("currentStepIndex") == 2, "the step skipped")
        press("promote-full", sure=True)
        seen.state("Healthy")
        press("restart", sure=True)
        story.until(lambda: story.rollout()["spec"].get("restartAt"), "spec.restartAt")
        seen.ready("undo")
        seen.tab_to("#do-undo")
        keys.press("Enter")
        page.locator("#to-revision:focus").wait_for()
        keys.press("1")
        seen.tab_to("#sure-yes")
        keys.press("Enter")
        page.locator("#do-undo:focus").wait_for()
        story.until(lambda: _image(story).endswith(":v1"), "the template of revision 1")
        writers = {entry["manager"] for entry in story.get("Rollout")["metadata"]["managedFields"]}
        assert "tidegate-page" in writers
        seen.tab_to("#sign-out")
        keys.press("Enter")
        seen.says("You have signed out.")


def test_who_may_only_look_sees_all_and_can_press_nothing(alone: Story, browser: Browser, pictures: Path) -> None:
    story = alone
    strategy = canary(weigh(50), wait())
    tried = [{"name": name, "specRef": of} for name, of in (("baseline", "stable"), ("candidate", "canary"))]
    trial = canary({"experiment": {"templates": tried, "duration": "10m"}})
    story.apply(rollout("v1", strategy), rollout("v1", trial, name="tried", replicas=1))
    story.until_phase("Healthy")
    story.until_phase("Healthy", name="tried")
    story.apply(rollout("v2", strategy), rollout("v2", trial, name="tried", replicas=1))
    story.until_phase("Paused")
    elsewhere = f"{story.namespace}-elsewhere"
    story.lab.client.create(m.namespace(elsewhere))
    story.lab.client.apply(
        {**rollout("v1", strategy, name="hidden", replicas=0), "metadata": {"name": "hidden", "namespace": elsewhere}}
    )

    with visit(browser, pictures) as seen:
        page = seen.page
        page.goto(PAGE)
        sign_in(seen, token(story, "view"))
        page.get_by_role("link", name="app", exact=True).wait_for()
        assert page.get_by_role("link", name="hidden").count() == 0
        page.get_by_role("link", name="app", exact=True).click()
        seen.says("You may look, and no more")
        for button in page.locator("#buttons button:visible").all():
            assert button.get_attribute("aria-disabled") == "true"
        page.click("#do-abort", force=True)
        seen.says("auth can-i patch rollouts.argoproj.io --subresource=status")
        page.goto(f"{PAGE}/rollouts/{story.namespace}/tried")
        for version in ("baseline", "candidate"):
            row = page.locator("#experiment tbody tr", has_text=version)
            row.get_by_text("Running").wait_for()
            row.get_by_text("1 of 1 available").wait_for()
        seen.picture("experiment")
        assert not seen.overflows()
        page.goto(f"{PAGE}/rollouts/{elsewhere}/hidden")
        seen.says("may not do this")
        assert not story.status().get("abort")
    story.lab.client.delete("Namespace", elsewhere)


def test_what_keeps_people_out_is_found(browser: Browser, pictures: Path) -> None:
    """Of a page with these faults, all are named; without them, none."""
    well = '<html lang="en"><title>t</title><main><h1>A</h1><h2 id="b">B</h2>{}</main></html>'
    faults = {
        '<button style="width: 50px; height: 50px"></button>': "has no name",
        '<input style="width: 50px; height: 50px">': "has no name",
        "<img>": "without a text",
        '<p style="color: #999">grey</p>': "a contrast of 2.8",
        '<p id="b">again</p>': "is there twice",
        "<h4>deep</h4>": "follows a heading of level 2",
        '<button style="width: 20px; height: 20px; padding: 0; color: black">x</button>': "too small",
        '<p aria-labelledby="nowhere">x</p>': "which is not there",
        "<svg><path/></svg>": "says nothing",
    }
    with visit(browser, pictures) as seen:
        seen.page.set_content(well.format("<p>text</p>"))
        assert seen.barriers() == []
        for fault, words in faults.items():
            seen.page.set_content(well.format(fault))
            assert [words in said for said in seen.barriers()] == [True], (fault, seen.barriers())


def sign_in(seen: Visit, secret: str) -> None:
    seen.page.locator("#token:focus").wait_for()
    seen.page.keyboard.insert_text(secret)
    seen.page.keyboard.press("Enter")


SECRETIVE: Obj = {
    "kind": "Rollout",
    "metadata": {"name": "img-src-x-onerror", "annotations": {"note": "<img src=x onerror=alert(1)>"}},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "secretive"}},
        "template": m.pod_template({"app": "secretive"}, m.app_container("v1")),
        "strategy": {"canary": {}},
    },
}
