"""Kayenta: the score of a comparison of two versions, which it works out while the measurement waits.

A measurement begins with an execution (POST /canary/{canaryConfigId}) and ends with its score (GET
/canary/{canaryExecutionId}); in between its id stands in the measurement's metadata, as Argo Rollouts writes it.

An operator that dies before the id is in the status would begin again. Kayenta takes no id of ours for an execution but
keeps a parent's id with it and lists those that are under way, by application, with that. So what is under way for this
very measurement is gone on with.

Kayenta fails open: a metric that its judge could not classify is left out of the score, so that of ten broken metrics
and a good one remains a 100. Here whatever the judge could not judge makes the measurement an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from tidegate.core.analysis.values import show_number
from tidegate.core.analysis.world import Reading
from tidegate.core.times import format_time
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.talk import AskError, Talk
from tidegate.providers.wording import shortened

EXECUTION: Final = "canaryExecutionId"
ASK_AGAIN: Final = timedelta(seconds=15)
_PARENT: Final = "parentPipelineExecutionId"
_UNDER_WAY: Final = "NOT_STARTED,RUNNING"
_UNJUDGED: Final = frozenset({"error", "nodata"})


class Kayenta(OverHttp):
    """The provider `kayenta`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Start an execution, or look how it is doing. The result is its score, a number of 0 to 100."""
        talk = Talk(self._http, "Kayenta", seconds)
        if asker.resume.get(EXECUTION):
            return await self._look(talk, spec, asker.resume[EXECUTION])
        return await self._start(talk, spec, asker)

    async def _start(self, talk: Talk, spec: Mapping[str, Any], asker: Asker) -> Reading:
        if begun := await self._begun(talk, spec, asker):
            return Reading(metadata={EXECUTION: begun}, hidden=talk.hidden, resume=ASK_AGAIN)
        config = await self._config_id(talk, spec)
        query = _query(
            {**spec, _PARENT: asker.id},
            *("application", _PARENT, "metricsAccountName", "configurationAccountName", "storageAccountName"),
        )
        url = f"{_address(spec)}/canary/{quote(config, safe='')}"
        thresholds = {name: spec["threshold"][name] for name in ("pass", "marginal")}
        answer = await talk.ask_json(
            f"{url}?{query}",
            method="POST",
            headers={"Content-Type": "application/json"},
            body=orjson.dumps({"scopes": dict(_scopes(spec, asker, datetime.now(UTC))), "thresholds": thresholds}),
        )
        execution = answer.get(EXECUTION) if isinstance(answer, dict) else None
        if not isinstance(execution, str) or not execution:
            raise talk.fault(url, f"gave an answer without {EXECUTION}")
        return Reading(metadata={EXECUTION: execution}, hidden=talk.hidden, resume=ASK_AGAIN)

    async def _begun(self, talk: Talk, spec: Mapping[str, Any], asker: Asker) -> str:
        """The execution that is under way for this measurement; empty for none, or where Kayenta can't tell: versions
        that are older than this list answer with an error."""
        if not asker.id:
            return ""
        query = _query({**spec, "statuses": _UNDER_WAY}, "application", "statuses", "storageAccountName")
        try:
            found = await talk.ask_json(f"{_address(spec)}/canary/executions?{query}")
        except AskError:
            return ""
        executions = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        return next((str(each.get("pipelineId") or "") for each in executions if each.get(_PARENT) == asker.id), "")

    async def _config_id(self, talk: Talk, spec: Mapping[str, Any]) -> str:
        """The id of the canary configuration that the metric names."""
        account = spec.get("configurationAccountName") or spec.get("storageAccountName") or ""
        url = f"{_address(spec)}/canaryConfig"
        query = _query({**spec, "configurationAccountName": account}, "application", "configurationAccountName")
        answer = await talk.ask_json(f"{url}?{query}")
        if not isinstance(answer, list) or not all(isinstance(config, dict) for config in answer):
            raise talk.fault(url, "gave an answer that is not a list of canary configurations")
        found = [config.get("id") for config in answer if config.get("name") == spec["canaryConfigName"]]
        if not found or not isinstance(found[0], str):
            told = f"has no canary configuration {spec['canaryConfigName']} for application {spec['application']}"
            raise talk.fault(url, told)
        return found[0]

    async def _look(self, talk: Talk, spec: Mapping[str, Any], execution: str) -> Reading:
        url = f"{_address(spec)}/canary/{quote(execution, safe='')}"
        query = _query(spec, "storageAccountName")
        answer = await talk.ask_json(f"{url}?{query}" if query else url)
        complete = answer.get("complete") if isinstance(answer, dict) else None
        if not isinstance(complete, bool):
            raise talk.fault(url, "gave an answer that is not the status of a canary execution")
        if not complete:
            return Reading(hidden=talk.hidden, resume=ASK_AGAIN)
        if broken := _broken(answer):
            raise talk.fault(url, f"ended execution {execution} without a verdict: {talk.conceal(broken)}")
        try:
            judged = answer["result"]["judgeResult"]
            score = judged["score"]["score"]
            unjudged = list(_unjudged(judged))
        except (AttributeError, KeyError, TypeError):
            raise talk.fault(url, f"ended execution {execution} without a score") from None
        if unjudged:
            told = talk.conceal("; ".join(unjudged))
            raise talk.fault(url, f"could not judge all of execution {execution}, so its score says nothing: {told}")
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise talk.fault(url, f"ended execution {execution} without a score")
        return Reading(value=float(score), text=show_number(float(score)), hidden=talk.hidden)


def _address(spec: Mapping[str, Any]) -> str:
    return str(spec["address"]).strip().rstrip("/")


def _query(spec: Mapping[str, Any], *names: str) -> str:
    """Those of the parameters that the metric gives."""
    return urlencode({name: spec[name] for name in names if spec.get(name)})


def _scopes(spec: Mapping[str, Any], asker: Asker, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scopes by their names, with the times that the metric leaves open."""
    since = asker.started_at if spec.get("lookback") else now - (asker.interval or timedelta(0))
    start = since or now
    for scope in spec["scopes"]:
        sides = {side: scope[side] for side in ("controlScope", "experimentScope")}
        yield scope["name"], {side: _side(detail, start, now) for side, detail in sides.items()}


def _side(detail: Mapping[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    # Argo Rollouts sends region; Kayenta has renamed it to location since, and passes over what it does not know.
    region = detail.get("region") or ""
    return {
        "scope": detail["scope"],
        "region": region,
        "location": region,
        "step": detail["step"],
        "start": detail.get("start") or format_time(start),
        "end": detail.get("end") or format_time(end),
    }


def _broken(answer: Mapping[str, Any]) -> str:
    """Why an execution that is over came to no end of its own; empty if it did."""
    status = str(answer.get("status") or "unknown")
    said = answer.get("exception")
    if status.lower() == "succeeded" and not said:
        return ""
    details = said.get("details") if isinstance(said, dict) else None
    words = details.get("errors") or details.get("error") if isinstance(details, dict) else said
    texts = words if isinstance(words, list) else [words] if words else []
    return shortened(": ".join([f"its status is {status}", *map(str, texts)]))


def _unjudged(judged: Mapping[str, Any]) -> Iterator[str]:
    """What the judge could not judge, of what counts, and why."""
    for metric in judged.get("results") or ():
        if str(metric.get("classification")).lower() == "error" and not metric.get("muted"):
            yield _reason(f"metric {metric.get('name')}", metric)
    if str(judged["score"].get("classification")).lower() in _UNJUDGED:
        yield _reason("the whole", judged["score"])


def _reason(what: str, judged: Mapping[str, Any]) -> str:
    why = judged.get("classificationReason")
    return f"{what} is {judged['classification']}" + (f" ({why})" if why else "")
