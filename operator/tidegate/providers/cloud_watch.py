"""Amazon CloudWatch: GetMetricData by its query API, with requests that are signed here.

Credentials are those of the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION);
roles that have to be assumed first, such as those of EKS service accounts, are not.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from tidegate.core.analysis.values import show_number
from tidegate.core.analysis.world import Reading
from tidegate.core.times import format_time, parse_duration
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.talk import AskError, Talk
from tidegate.providers.wording import answered, shortened

_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class CloudWatch(OverHttp):
    """The provider `cloudWatch`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Ask for the time from `interval` ago until now.

        The result is a list of maps with Id, Label, Values, Timestamps and StatusCode.
        """
        talk = Talk(self._http, "CloudWatch", seconds)
        access = _Access.of_environment()
        talk.hide(access.key, access.secret, access.token)
        now = datetime.now(UTC)
        form = {
            "Action": "GetMetricData",
            "Version": "2010-08-01",
            "StartTime": format_time(now - parse_duration(spec.get("interval") or "5m")),
            "EndTime": format_time(now),
            **dict(_parameters(spec["metricDataQueries"])),
        }
        body = urlencode(form).encode()
        answer = await talk.ask(access.url, method="POST", headers=access.sign(body, now), body=body)
        root = _tree(answer.body)
        if not answer.fine:
            said = root.findtext(".//Message") if root is not None else ""
            raise talk.fault(access.url, answered(answer.status, talk.conceal(said or "")))
        if root is None or root.tag != "GetMetricDataResponse":
            raise talk.fault(access.url, "gave an answer that is not a result of GetMetricData")
        try:
            results = [_result(member) for member in root.iterfind(".//MetricDataResults/member")]
        except ValueError:
            raise talk.fault(access.url, "gave an answer that is not a result of GetMetricData") from None
        if failed := [one["Id"] for one in results if one["StatusCode"] in ("InternalError", "Forbidden")]:
            raise talk.fault(access.url, f"could not carry out the query {', '.join(failed)}")
        text = "[" + " ".join("[" + " ".join(map(show_number, one["Values"])) + "]" for one in results) + "]"
        messages = [
            message.findtext("Value") or "" for message in root.iterfind("./GetMetricDataResult/Messages/member")
        ]
        metadata = {"messages": shortened("; ".join(messages))} if messages else {}
        return Reading(value=results, text=shortened(text), metadata=metadata, hidden=talk.hidden)


class _Access:
    """Who asks, where, and the signature that proves it (AWS Signature Version 4)."""

    def __init__(self, region: str, key: str, secret: str, token: str, url: str) -> None:
        self.region, self.key, self.secret, self.token, self.url = region, key, secret, token, url

    @classmethod
    def of_environment(cls) -> _Access:
        """Raises AskError for what is missing."""
        found = os.environ
        region = found.get("AWS_REGION") or found.get("AWS_DEFAULT_REGION") or ""
        wanted = {"AWS_REGION": region, **{n: found.get(n, "") for n in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}}
        missing = [name for name, value in wanted.items() if not value]
        if missing:
            raise AskError(f"CloudWatch can't be asked: {', '.join(missing)} not set in the operator's environment")
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        url = found.get("AWS_ENDPOINT_URL_CLOUDWATCH") or f"https://monitoring.{region}.{domain}"
        return cls(
            region,
            wanted["AWS_ACCESS_KEY_ID"],
            wanted["AWS_SECRET_ACCESS_KEY"],
            found.get("AWS_SESSION_TOKEN", ""),
            url.rstrip("/") + "/",
        )

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The headers of a POST of `body`."""
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self.region}/monitoring/aws4_request"
        headers = {"content-type": _FORM, "host": urlsplit(self.url).netloc, "x-amz-date": stamp}
        if self.token:
            headers["x-amz-security-token"] = self.token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        path = quote(urlsplit(self.url).path or "/")
        request = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={self.key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


def _parameters(queries: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The queries as parameters of a form."""
    for number, query in enumerate(queries, 1):
        at = f"MetricDataQueries.member.{number}"
        yield f"{at}.Id", str(query["id"])
        for field in ("expression", "label", "period"):
            if query.get(field) is not None:
                yield f"{at}.{field.capitalize()}", str(query[field])
        if query.get("returnData") is not None:
            yield f"{at}.ReturnData", "true" if query["returnData"] else "false"
        stat = query.get("metricStat")
        if stat is not None:
            yield from _stat(stat, f"{at}.MetricStat")


def _stat(stat: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    metric = stat.get("metric") or {}
    yield f"{at}.Metric.MetricName", str(metric.get("metricName") or "")
    if metric.get("namespace"):
        yield f"{at}.Metric.Namespace", str(metric["namespace"])
    for number, dimension in enumerate(metric.get("dimensions") or (), 1):
        yield f"{at}.Metric.Dimensions.member.{number}.Name", str(dimension.get("name") or "")
        yield f"{at}.Metric.Dimensions.member.{number}.Value", str(dimension.get("value") or "")
    for field in ("period", "stat", "unit"):
        if stat.get(field):
            yield f"{at}.{field.capitalize()}", str(stat[field])


def _tree(body: bytes) -> ElementTree.Element | None:
    """An XML document without its namespaces; None for anything else."""
    if b"<!DOCTYPE" in body:  # entities can make a small document huge, and AWS sends none
        return None
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - see above
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _result(member: ElementTree.Element) -> dict[str, Any]:
    texts = {name: member.findtext(name) or "" for name in ("Id", "Label", "StatusCode")}
    return {
        **texts,
        "Values": [float(value.text or "") for value in member.iterfind("Values/member")],
        "Timestamps": [time.text or "" for time in member.iterfind("Timestamps/member")],
    }
