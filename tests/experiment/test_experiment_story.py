"""Standalone Experiments, from their creation to the end of their last pod."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.experiment.standalone import NAMESPACE, TRIAL, asked, begin, experiment, version
from tests.rollout.objects import template
from tests.rollout.stage import HASH, Verdict
from tidegate.api import names
from tidegate.core.experiment.decide import decide
from tidegate.core.plan import Key
from tidegate.engine.experiments import Attempts, ExperimentGatherer


def test_versions_run_for_the_duration_and_their_pods_go_after_the_delay() -> None:
    stage = begin(experiment(version("one"), version("two", "v2", replicas=3), duration="1m", scaleDownDelaySeconds=20))
    stage.play(1)
    assert stage.phase_now == "Pending"
    stage.play(2)

    assert stage.phase_now == "Running" and "availableAt" in stage.ended
    assert stage.wanted() == {"trial-one": 1, "trial-two": 3}
    two = stage.version("two")
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    assert [two[field] for field in counts] == [3, 3, 3, 3] and two["status"] == "Running"
    stage.play(58)
    assert stage.phase_now == "Running"
    stage.play(2)
    assert stage.phase_now == "Successful"
    assert {each["status"] for each in stage.ended["templateStatuses"]} == {"Successful"}
    stage.play(18)
    assert stage.wanted() == {"trial-one": 1, "trial-two": 3}
    stage.play(5)
    assert stage.wanted() == {"trial-one": 0, "trial-two": 0}
    stage.settle()
    (progressing,) = stage.ended["conditions"]
    assert (progressing["status"], progressing["reason"]) == ("False", "ExperimentCompleted")
    told = ["ExperimentPending", "TemplateRunning", "ExperimentRunning", "TemplateSuccessful", "ExperimentSuccessful"]
    assert [reason for reason in dict.fromkeys(stage.reasons()) if reason in told] == told


def test_pods_stay_30_seconds_where_no_delay_is_given_and_none_at_0() -> None:
    for delay, after in ((None, 30), (0, 0)):
        given = {} if delay is None else {"scaleDownDelaySeconds": delay}
        stage = begin(experiment(duration="10s", **given))
        stage.play(12 + after - 1)
        assert stage.wanted() == {"trial-one": 1}
        stage.play(3)
        assert stage.wanted() == {"trial-one": 0}


def test_what_belongs_to_a_version_is_found_as_argo_finds_it() -> None:
    one, two = version("one", minReadySeconds=5), version("two")
    one["selector"]["matchExpressions"] = [{"key": "version", "operator": "In", "values": ["one", "1"]}]
    stage = begin(experiment(one, two, duration="1h"))
    stage.play(5)
    assert stage.phase_now == "Pending", "available after minReadySeconds"
    stage.play(5)

    rs, other = stage.set_of("one"), stage.set_of("two")
    hash_ = rs["metadata"]["labels"][HASH]
    assert rs["metadata"]["annotations"] == {
        "experiment.argoproj.io/name": "trial",
        "experiment.argoproj.io/template-name": "one",
    }
    (owner,) = rs["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Experiment", stage.trial["metadata"]["uid"], True)
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "trial", "version": "one", HASH: hash_}
    assert rs["spec"]["selector"]["matchExpressions"] == one["selector"]["matchExpressions"]
    assert rs["spec"]["template"]["metadata"]["labels"] == {"app": "trial", "version": "one", HASH: hash_}
    assert (rs["spec"]["minReadySeconds"], other["spec"]["minReadySeconds"]) == (5, 0)
    assert stage.version("one")["podTemplateHash"] == hash_


def test_two_versions_of_one_template_are_told_apart() -> None:
    twins = [{**version("one"), "name": name} for name in ("one", "two")]
    stage = begin(experiment(*twins, duration="1h")).play(10)

    assert stage.version("one")["podTemplateHash"] != stage.version("two")["podTemplateHash"]


def test_a_service_of_its_own_comes_with_the_pods_and_goes_after_them() -> None:
    stage = begin(
        experiment(version("one", service={}), version("two", service={"name": "second"}), duration="10s"),
        default_boot=5.0,
    )
    stage.play(3)
    service = stage.objects[Key("Service", NAMESPACE, "second")]
    hash_ = stage.version("two")["podTemplateHash"]
    assert service["spec"]["selector"] == {HASH: hash_}
    assert service["spec"]["ports"] == [{"port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    assert stage.version("one")["serviceName"] == "trial-one"
    stage.play(20)
    assert Key("Service", NAMESPACE, "second") in stage.objects, "while there are pods"
    stage.settle()
    assert not [key for key in stage.objects if key.kind == "Service"]
    assert "serviceName" not in stage.version("two")


def test_pods_without_a_port_get_no_service_and_that_is_told() -> None:
    """As with Argo Rollouts, where nobody learns of it. A Service without ports can't be created."""
    bare = version("one", service={})
    del bare["template"]["spec"]["containers"][0]["ports"]
    stage = begin(experiment(bare, version("two", service={}), duration="10s")).play(5)
    assert stage.phase_now == "Running"
    assert [key.name for key in stage.objects if key.kind == "Service"] == ["trial-two"]
    assert "serviceName" not in stage.version("one")
    [told] = [event for event in stage.trials.told if event.reason == "FieldWithoutEffect"]
    assert told.type == "Warning" and told.message.startswith("spec.templates[0].service: has no effect")
    assert stage.play(20).phase_now == "Successful"


def test_several_ports_get_names_that_no_mesh_takes_for_a_protocol() -> None:
    given = version("one", service={})
    given["template"]["spec"]["containers"][0]["ports"] = [
        {"containerPort": 80, "name": "http"},
        {"containerPort": 53, "protocol": "UDP"},
        {"containerPort": 80},
    ]
    stage = begin(experiment(given, duration="1h")).play(5)

    ports = stage.objects[Key("Service", NAMESPACE, "trial-one")]["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [("http", 80), ("port-53-udp", 53)]


def test_a_service_that_is_somebody_elses_ends_the_experiment_and_stays() -> None:
    stage = begin(experiment(version("one", service={"name": "taken"}), duration="1h"))
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "taken"}, "spec": {"selector": {"app": "x"}}}
    stage.put(theirs)
    stage.settle()

    assert stage.phase_now == "Error"
    assert "Service default/taken belongs to somebody else" in stage.ended["message"]
    assert stage.objects[Key("Service", NAMESPACE, "taken")]["spec"] == theirs["spec"]


def test_a_version_that_does_not_start_fails_at_its_deadline() -> None:
    stage = begin(experiment(version("one"), version("two", "sick"), progressDeadlineSeconds=60), boot={"sick": None})
    stage.play(59)
    assert stage.phase_now == "Pending"
    stage.play(5)

    assert stage.phase_now == "Failed"
    told = "Template 'two' exceeded its progressDeadlineSeconds (60): 0 of 1 pods"
    assert told in stage.ended["message"] and told in stage.version("two")["message"]
    stage.settle()
    assert stage.wanted() == {"trial-one": 0, "trial-two": 0}
    assert "TemplateFailed" in stage.reasons() and "ExperimentFailed" in stage.reasons()


def test_a_lost_pod_is_waited_for_and_the_time_goes_on() -> None:
    stage = begin(experiment(duration="1m")).play(10)
    since = stage.ended["availableAt"]
    stage.pods[stage.set_of("one")["metadata"]["uid"]][0].ready_at = 30 + 10
    stage.cluster_moves()
    stage.play(1)
    assert stage.phase_now == "Pending"
    stage.play(31)
    assert (stage.phase_now, stage.ended["availableAt"]) == ("Running", since)
    stage.play(30)
    assert stage.phase_now == "Successful"


def test_more_pods_may_be_asked_for_on_the_way() -> None:
    stage = begin(experiment(duration="1h")).play(10)
    stage.change(templates=[version("one", replicas=3)])
    stage.play(10)

    assert stage.wanted() == {"trial-one": 3} and stage.phase_now == "Running"


def test_a_version_that_the_spec_has_no_more_goes() -> None:
    stage = begin(experiment(version("one"), version("two"), duration="1h", scaleDownDelaySeconds=0)).play(10)
    stage.change(templates=[version("one")])
    stage.play(10)

    assert stage.wanted() == {"trial-one": 1, "trial-two": 0}
    assert [each["name"] for each in stage.ended["templateStatuses"]] == ["one"]


def test_terminate_ends_it() -> None:
    stage = begin(experiment(analyses=[asked()]), verdicts={"Experiment": [Verdict(after=None)]}).play(10)
    assert stage.phase_now == "Running" and stage.runs() == {"trial-look": "Running"}
    stage.change(terminate=True)
    stage.settle()

    assert stage.phase_now == "Successful" and stage.runs() == {"trial-look": "Successful"}
    assert stage.wanted() == {"trial-one": 0}
    assert "AnalysisRunTerminating" in stage.reasons()


@pytest.mark.parametrize(("required", "phase"), [(True, "Inconclusive"), (False, "Successful")])
def test_terminate_does_not_wait_for_a_run_that_somebody_has_deleted(required: bool, phase: str) -> None:
    stage = begin(
        experiment(analyses=[asked(requiredForCompletion=required)]), verdicts={"Experiment": [Verdict(after=None)]}
    ).play(10)
    (run,) = [key for key in stage.objects if key.kind == "AnalysisRun"]
    stage.remove(run)
    stage.change(terminate=True)
    stage.settle()
    assert (stage.phase_now, stage.runs()) == (phase, {})


@pytest.mark.parametrize("phase", ["Failed", "Error", "Inconclusive"])
def test_an_analysis_that_goes_badly_ends_it(phase: str) -> None:
    verdicts = {"Experiment": [Verdict(phase, 5), Verdict(after=None)]}
    stage = begin(experiment(analyses=[asked("bad"), asked("other")], duration="1h"), verdicts=verdicts)
    stage.play(20)

    assert stage.phase_now == phase
    assert stage.ended["message"] == f"Analysis bad (AnalysisRun trial-bad) ended as {phase}: scripted {phase}"
    assert stage.runs()["trial-other"] == "Successful", "ended by spec.terminate"
    entry = next(each for each in stage.ended["analysisRuns"] if each["name"] == "bad")
    assert entry == {"name": "bad", "analysisRun": "trial-bad", "phase": phase, "message": f"scripted {phase}"}
    assert f"AnalysisRun{phase}" in stage.reasons() and f"Experiment{phase}" in stage.reasons()


def test_a_required_analysis_is_waited_for_beyond_the_duration_and_no_longer() -> None:
    verdicts = {"Experiment": [Verdict(after=60)]}
    stage = begin(experiment(analyses=[asked(requiredForCompletion=True)], duration="10s"), verdicts=verdicts)
    stage.play(50)
    assert stage.phase_now == "Running" and stage.wanted() == {"trial-one": 1}
    stage.play(15)
    assert stage.phase_now == "Successful"


def test_analyses_begin_when_all_versions_are_up_and_get_what_they_ask_of_them() -> None:
    args = [
        {"name": "hash", "value": "{{templates.one.podTemplateHash}}"},
        {"name": "set", "value": "rs/{{ templates.two.replicaset.name }}"},
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    obj = experiment(
        version("one"),
        version("two", "slow"),
        analyses=[asked(args=args)],
        duration="1h",
        dryRun=[{"metricName": "up"}],
        measurementRetention=[{"metricName": "up", "limit": 3}],
        analysisRunMetadata={"labels": {"team": "shop"}, "annotations": {"note": "x"}},
        labels={names.INSTANCE_ID: "a"},
    )
    stage = begin(obj, boot={"slow": 30.0})
    ok = template()
    ok["spec"]["args"] = [{"name": "hash"}, {"name": "set"}, {"name": "token"}]
    stage.put(ok)
    stage.play(20)
    assert stage.runs() == {}
    stage.play(20)

    run = stage.objects[Key("AnalysisRun", NAMESPACE, "trial-look")]
    assert run["spec"]["args"] == [
        {"name": "hash", "value": stage.version("one")["podTemplateHash"]},
        {"name": "set", "value": "rs/trial-two"},
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    assert run["spec"]["dryRun"] == [{"metricName": "up"}]
    assert run["spec"]["measurementRetention"] == [{"metricName": "up", "limit": 3}]
    assert run["metadata"]["labels"] == {"team": "shop", names.INSTANCE_ID: "a"}
    assert run["metadata"]["annotations"] == {"note": "x"}
    (owner,) = run["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Experiment", stage.trial["metadata"]["uid"])


def test_a_rule_goes_to_the_analyses_whose_metrics_it_means() -> None:
    analyses = [asked("a"), asked("b", templateName="other")]
    stage = begin(experiment(analyses=analyses, dryRun=[{"metricName": "down"}], duration="1h"))
    other = template("other")
    other["spec"]["metrics"][0]["name"] = "down"
    stage.put(other)
    stage.play(10)

    found = {name: stage.objects[Key("AnalysisRun", NAMESPACE, name)]["spec"] for name in ("trial-a", "trial-b")}
    assert "dryRun" not in found["trial-a"] and found["trial-b"]["dryRun"] == [{"metricName": "down"}]


def test_a_cluster_wide_template_is_found() -> None:
    stage = begin(experiment(analyses=[asked(templateName="wide", clusterScope=True)], duration="1h"))
    wide = template("wide")
    wide["spec"]["metrics"][0]["name"] = "everywhere"
    stage.objects[Key("ClusterAnalysisTemplate", "", "wide")] = {
        **wide,
        "kind": "ClusterAnalysisTemplate",
        "metadata": {"name": "wide", "resourceVersion": "1"},
    }
    stage.play(10)

    run = stage.objects[Key("AnalysisRun", NAMESPACE, "trial-look")]
    assert run["spec"]["metrics"][0]["name"] == "everywhere"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"analyses": [asked(templateName="gone")]}, "spec.analyses[0].templateName: AnalysisTemplate gone not found"),
        (
            {"analyses": [asked(args=[{"name": "x", "value": "{{templates.no.podTemplateHash}}"}])]},
            "spec.analyses[0].args[0].value: asks for template no; there are one",
        ),
        (
            {"analyses": [asked()], "dryRun": [{"metricName": "nothing"}]},
            "spec.dryRun[0].metricName: 'nothing' matches no metric",
        ),
        (
            {"analyses": [asked(templateName="endless", requiredForCompletion=True)]},
            "spec.analyses[0].templateName: metric up has an interval and no count",
        ),
        ({"duration": "soon"}, "spec.duration: 'soon' is not a duration"),
    ],
)
def test_a_mistake_is_told_with_its_path_and_mended_without_a_new_experiment(fields: dict, path: str) -> None:  # type: ignore[type-arg]
    stage = begin(experiment(**{"duration": "1h", **fields}))
    endless = template("endless")
    del endless["spec"]["metrics"][0]["count"]
    stage.put(endless)
    stage.settle()

    assert stage.phase_now == "Error" and path in stage.ended["message"]
    invalid = next(each for each in stage.ended["conditions"] if each["type"] == "InvalidSpec")
    assert invalid["status"] == "True" and path in invalid["message"]
    assert stage.wanted() == {}
    stage.change(duration="1h", analyses=None, dryRun=None)
    stage.play(10)
    assert stage.phase_now == "Running"
    assert [each["type"] for each in stage.ended["conditions"]] == ["Progressing"]


def test_a_template_that_changes_after_the_beginning_changes_nothing() -> None:
    stage = begin(experiment(analyses=[asked()], duration="30s"))
    stage.play(5)
    stage.remove(Key("AnalysisTemplate", NAMESPACE, "ok"))
    stage.settle()

    assert stage.phase_now == "Successful"


def test_another_try_runs_everything_anew() -> None:
    """`kubectl argo rollouts retry experiment` sets the status to null."""
    verdicts = {"Experiment": [Verdict("Failed", 1), Verdict("Successful", 1)]}
    stage = begin(experiment(analyses=[asked(requiredForCompletion=True)]), verdicts=verdicts).settle()
    assert stage.phase_now == "Failed" and stage.wanted() == {"trial-one": 0}

    stage.edit(TRIAL, {"status": None})
    stage.play(10)
    assert stage.ended["analysisRuns"][0]["analysisRun"] == "trial-look.1"
    assert stage.phase_now == "Successful"
    stage.settle()
    assert stage.wanted() == {"trial-one": 0}


def test_a_retry_before_the_pods_have_gone_keeps_them() -> None:
    stage = begin(experiment(duration="5s")).play(15)
    assert stage.phase_now == "Successful"
    stage.edit(TRIAL, {"status": None})
    stage.change(duration="1h")
    stage.play(100)

    assert stage.phase_now == "Running" and stage.wanted() == {"trial-one": 1}
    assert names.SCALE_DOWN_DEADLINE not in stage.set_of("one")["metadata"]["annotations"]


def test_a_name_that_is_taken_is_avoided() -> None:
    stage = begin(experiment(duration="1h"))
    theirs = begin(experiment(duration="1h")).play(5).set_of("one")
    stage.put({**theirs, "metadata": {**theirs["metadata"], "ownerReferences": []}})
    stage.play(10)

    assert stage.phase_now == "Running"
    assert stage.version("one")["collisionCount"] == 1
    assert Key("ReplicaSet", NAMESPACE, "trial-one-1") in stage.objects


def test_what_the_server_will_not_have_is_told_and_ends_it() -> None:
    """Argo Rollouts' word for it is Error too; an error that passes is tried again by the engine."""
    stage = begin(experiment(duration="1h"))
    refused = {Key("ReplicaSet", NAMESPACE, "trial-one"): "denied by a webhook"}
    world = ExperimentGatherer(lambda: stage.now).experiment(stage, TRIAL, Attempts(refused=refused))  # type: ignore[arg-type]
    assert world is not None
    plan = decide(world)

    assert plan.status is not None and plan.status["phase"] == "Error"
    assert plan.status["message"] == "ReplicaSet trial-one was not created: denied by a webhook"


def test_one_that_is_being_deleted_is_left_alone() -> None:
    stage = begin(experiment(duration="1h"))
    world = ExperimentGatherer(lambda: stage.now).experiment(stage, TRIAL, Attempts())  # type: ignore[arg-type]
    assert world is not None and decide(world).actions
    dying = {**stage.trial, "metadata": {**stage.trial["metadata"], "deletionTimestamp": "2026-03-01T12:00:00Z"}}
    plan = decide(replace(world, experiment=dying, now=world.now + timedelta(seconds=1)))
    assert (plan.actions, plan.status) == ((), None)
