"""New Relic: a query in NRQL, sent to NerdGraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tidegate.core.analysis.world import Reading
from tidegate.providers.base import NOBODY, Asker, OverHttp, SecretError
from tidegate.providers.graphql import complaint
from tidegate.providers.talk import Talk

_SECRET: Final = "newrelic"  # noqa: S105 - its name
_ADDRESSES: Final = {
    "us": "https://api.newrelic.com/graphql",
    "eu": "https://api.eu.newrelic.com/graphql",
    "staging": "https://staging-api.newrelic.com/graphql",
}
_QUERY: Final = (
    "query($accountId: Int!, $query: Nrql!, $timeout: Seconds!) "
    "{ actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } } }"
)
_RESOLVED: Final = "ResolvedNewRelicQuery"
_TIMEOUT: Final = 5
_LONGEST_VALUE: Final = 2000


class NewRelic(OverHttp):
    """The provider `newRelic`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Ask NerdGraph. The result is a map, or a list of maps where there are several."""
        talk = Talk(self._http, "New Relic", seconds)
        url, key, account = await _access(str(spec.get("profile") or _SECRET), asker)
        talk.hide(key)
        variables = {"accountId": account, "query": spec["query"], "timeout": spec.get("timeout") or _TIMEOUT}
        body = orjson.dumps({"query": _QUERY, "variables": variables})
        headers = {"Api-Key": key, "Content-Type": "application/json"}
        answer = await talk.ask_json(url, method="POST", headers=headers, body=body)
        if said := complaint(answer):
            raise talk.fault(url, f"did not carry out the query: {talk.conceal(said)}")
        try:
            results = answer["data"]["actor"]["account"]["nrql"]["results"]
            if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
                raise TypeError
        except (KeyError, TypeError):
            raise talk.fault(url, "gave an answer that is not a result of NerdGraph") from None
        if not results or results == [{}]:
            raise talk.fault(url, "found no results")
        value = results[0] if len(results) == 1 else results
        text = talk.shown(value, _LONGEST_VALUE)
        return Reading(value=value, text=text, asked={_RESOLVED: str(spec["query"])}, hidden=talk.hidden)


async def _access(name: str, asker: Asker) -> tuple[str, str, int]:
    """Address, key and account, as the Secret has them."""
    entries = await asker.secret(asker.home, name, "personal-api-key", "account-id")
    shown = f"Secret {asker.home}/{name}"
    account, region = entries["account-id"].strip(), entries.get("region", "us").strip().lower() or "us"
    if not account.isdigit():
        raise SecretError(f"{shown} has an account-id that is not a number")
    address = entries.get("base-url-nerdgraph") or _ADDRESSES.get(region)
    if address is None:
        raise SecretError(f"{shown} has a region that is none of {', '.join(_ADDRESSES)}")
    return address.strip(), entries["personal-api-key"].strip(), int(account)
