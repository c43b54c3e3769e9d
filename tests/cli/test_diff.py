"""diff: a new revision or none, by what templates mean; and what applying leaves alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import yaml

from tests.cli.conftest import Cli
from tests.cli.release import NEW, OLD, STEPS, Release, template
from tests.fakes.cluster import FakeCluster


def manifest(image: str = "app:v2", steps: Any = STEPS, **spec: Any) -> str:
    body = {
        "replicas": 5,
        "selector": {"matchLabels": {"app": "app"}},
        "template": template(image),
        "strategy": {"canary": {"steps": steps}},
        **spec,
    }
    return yaml.safe_dump(
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "app"}, "spec": body}
    )


def one(cli: Cli, text: str) -> tuple[int, dict[str, Any]]:
    answer = cli("diff", "-f", "-", "-o", "json", stdin=text)
    (item,) = answer.data["items"]
    return answer.code, item


def test_the_same_changes_nothing(cli: Cli, release: Release) -> None:
    code, item = one(cli, manifest())

    assert (code, item["change"], item["diff"], item["told"]) == (0, "unchanged", [], [])


def test_a_new_image_starts_a_revision_and_says_the_steps(cli: Cli, release: Release) -> None:
    code, item = one(cli, manifest("app:v3"))

    assert (code, item["change"], item["revision"]) == (1, "changed", "new")
    assert item["told"] == [f"starts revision 3 (hash {item['hash']}; now {NEW})"]
    assert item["steps"] == ["setWeight 20", "pause", "setWeight 50", "pause 10m"]
    assert "-    - image: app:v2" in item["diff"] and "+    - image: app:v3" in item["diff"]


def test_the_stable_image_goes_back_without_steps(cli: Cli, release: Release) -> None:
    _, item = one(cli, manifest("app:v1"))

    assert (item["revision"], item["hash"], item["steps"]) == ("earlier", OLD, [])
    assert "goes back to the stable revision 1" in item["told"][0]


def test_what_means_the_same_is_no_new_revision(cli: Cli, release: Release) -> None:
    """Defaults that are written out are another text and another hash, and restart no pod."""
    spelt = template("app:v2")
    spelt["spec"]["restartPolicy"] = "Always"

    code, item = one(cli, manifest(template=spelt))

    assert (code, item["revision"], item["hash"]) == (1, "none", NEW)
    assert "no new revision" in item["told"][0]


def test_other_steps_in_the_midst_of_an_update_start_it_over(cli: Cli, release: Release) -> None:
    _, item = one(cli, manifest(steps=[{"setWeight": 10}]))

    assert item["told"][-1] == "the steps differ, so the update that is under way starts over at the first"


def test_replicas_of_an_autoscaler_stay_and_what_was_applied_before_goes(
    cli: Cli, cluster: FakeCluster, release: Release
) -> None:
    before = yaml.safe_load(manifest(minReadySeconds=3))
    noted = {"kubectl.kubernetes.io/last-applied-configuration": orjson.dumps(before).decode()}
    cluster.patch(
        "Rollout", "app", {"metadata": {"annotations": noted}, "spec": {"minReadySeconds": 3, "paused": True}}
    )
    text = yaml.safe_load(manifest())
    text["spec"].pop("replicas")
    cluster.patch("Rollout", "app", {"metadata": {"annotations": {"x": "y"}}})

    _, item = one(cli, yaml.safe_dump(text))

    changed = [line for line in item["diff"] if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-minReadySeconds: 3", "-replicas: 5"], "it was in what was last applied, and is no longer"
    assert "paused: true" not in "".join(changed)


def test_one_that_is_not_there_yet_and_one_that_would_be_refused(cli: Cli, cluster: FakeCluster) -> None:
    code, item = one(cli, manifest(steps=[{"setWeight": 101}]))

    assert (code, item["change"]) == (1, "created")
    assert item["problems"] == ["spec.strategy.canary.steps[0].setWeight: is 101, must be from 0 to 100"]


@pytest.mark.parametrize("text", ["a: b: c", "kind: ConfigMap\napiVersion: v1\n"])
def test_what_holds_nothing_to_compare(cli: Cli, text: str) -> None:
    assert cli("diff", "-f", "-", stdin=text).code == 4
