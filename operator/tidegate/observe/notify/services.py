"""What each service wants of a message: one HTTP request, or a note for Apprise.

A service is one function from options, recipient and message to a parcel, and one line in SERVICES.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from tidegate.observe.notify.messages import Message, WordingError
from tidegate.observe.notify.settings import Service, SettingError

_JSON: Final = "application/json"
_METHODS: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE"))


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Nothing of it is ever shown. accepted: whether an answer with a good status is a yes; the
    text says why not, empty for yes."""

    method: str
    url: str = field(repr=False)
    body: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    verify: bool = True
    refusal: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What Apprise sends. url: Apprise's address of the receiver, which holds secrets."""

    url: str = field(repr=False)
    title: str
    body: str
    html: bool = False


Parcel = Request | Note
Options = Mapping[str, Any]


def check_service(service: Service) -> None:
    """Raises SettingError for a service that is not known, or whose options can't be right."""
    if service.type not in SERVICES:
        raise SettingError(f"service type {service.type!r} is not supported; there is {', '.join(sorted(SERVICES))}")
    known, _ = SERVICES[service.type]
    unknown = sorted(service.options.keys() - known.keys())
    if unknown:
        raise SettingError(f"{unknown[0]} is not supported for {service.type}; there is {', '.join(known)}")
    for option, needed in known.items():
        if needed and not service.options.get(option):
            raise SettingError(f"{option} is missing")
    for option in ("url", "apiURL", "apiUrl"):
        address = service.options.get(option)
        if service.type != "apprise" and address and not _is_web(str(address)):
            raise SettingError(f"{option} is no http or https address")


def pack(service: Service, recipient: str, message: Message) -> Parcel:
    """The parcel for one recipient. Raises WordingError for one that can't be made, without values in it."""
    try:
        return SERVICES[service.type][1](service, recipient, message)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The error's own text may hold what is written in the options.
        told = f"the options of service {service.name} are not of the form that {service.type} has"
        raise WordingError(f"{told} ({type(error).__name__})") from None


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _webhook(service: Service, _: str, message: Message) -> Request:
    options, name = service.options, service.name
    headers = {"Idempotency-Key": message.id}
    for header in options.get("headers") or ():
        headers[str(header.get("name", ""))] = str(header.get("value", ""))
    if login := options.get("basicAuth"):
        pair = f"{login.get('username', '')}:{login.get('password', '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    url, verify = str(options["url"]), not options.get("insecureSkipVerify")
    if not message.has("webhook", name):
        headers.setdefault("Content-Type", _JSON)
        return Request("POST", url, json.dumps(_facts(message)), headers, verify)
    method = (message.get("webhook", name, "method") or "GET").strip().upper()
    if method not in _METHODS:
        raise WordingError(f"webhook.{name}.method must be one of {', '.join(sorted(_METHODS))}")
    if path := message.get("webhook", name, "path").strip():
        url = f"{url.rstrip('/')}/{path.lstrip('/')}"
    return Request(method, url, message.get("webhook", name, "body"), headers, verify)


def _facts(message: Message) -> dict[str, str]:
    return {
        "id": message.id,
        "trigger": message.trigger,
        "namespace": message.namespace,
        "rollout": message.rollout,
        "message": message.text,
    }


def _slack(service: Service, recipient: str, message: Message) -> Request:
    options = service.options
    body: dict[str, Any] = {"channel": recipient, "text": message.text}
    for part in ("attachments", "blocks"):
        if text := message.get("slack", part).strip():
            body[part] = _structure(text, f"slack.{part}")
    for option, part in (("username", "username"), ("icon", "icon_emoji")):
        if value := message.get("slack", option) or options.get(option):
            body["icon_url" if part == "icon_emoji" and str(value).startswith("http") else part] = value
    url = f"{str(options.get('apiURL') or 'https://slack.com/api').rstrip('/')}/chat.postMessage"
    headers = _bearer(options, {"Content-Type": f"{_JSON}; charset=utf-8"})
    return Request("POST", url, json.dumps(body), headers, not options.get("insecureSkipVerify"), _slack_refusal)


def _slack_refusal(answer: str) -> str:
    """Slack says no with status 200 and a word."""
    try:
        told = json.loads(answer)
    except ValueError:
        return "the answer is not Slack's"
    if not isinstance(told, dict) or told.get("ok"):
        return "" if isinstance(told, dict) else "the answer is not Slack's"
    word = str(told.get("error", ""))
    return word if word.replace("_", "").isalpha() and len(word) < 50 else "refused"


def _mattermost(service: Service, recipient: str, message: Message) -> Request:
    options = service.options
    body: dict[str, Any] = {"channel_id": recipient, "message": message.text}
    if text := message.get("mattermost", "attachments").strip():
        body["props"] = {"attachments": _structure(text, "mattermost.attachments")}
    url = f"{str(options['apiURL']).rstrip('/')}/api/v4/posts"
    headers = _bearer(options, {"Content-Type": _JSON})
    return Request("POST", url, json.dumps(body), headers, not options.get("insecureSkipVerify"))


def _pagerduty(service: Service, recipient: str, message: Message) -> Request:
    keys = service.options["serviceKeys"]
    payload = {
        "summary": message.get("pagerdutyv2", "summary") or message.text,
        "severity": message.get("pagerdutyv2", "severity") or "error",
        "source": message.get("pagerdutyv2", "source") or f"{message.namespace}/{message.rollout}",
    }
    for part in ("component", "group", "class"):
        if text := message.get("pagerdutyv2", part):
            payload[part] = text
    body: dict[str, Any] = {
        "routing_key": _named(keys, recipient, "serviceKeys"),
        "event_action": "trigger",
        "dedup_key": message.id,
        "payload": payload,
    }
    if link := message.get("pagerdutyv2", "url"):
        body["client_url"] = link
    url = str(service.options.get("apiURL") or "https://events.pagerduty.com/v2/enqueue")
    return Request("POST", url, json.dumps(body), {"Content-Type": _JSON})


def _opsgenie(service: Service, recipient: str, message: Message) -> Request:
    key = _named(service.options["apiKeys"], recipient, "apiKeys")
    host = str(service.options.get("apiUrl") or "https://api.opsgenie.com").rstrip("/")
    body = {"message": message.text[:130], "alias": message.id}
    for part in ("description", "priority"):
        if text := message.get("opsgenie", part):
            body[part] = text
    return Request(
        "POST", f"{host}/v2/alerts", json.dumps(body), {"Content-Type": _JSON, "Authorization": f"GenieKey {key}"}
    )


def _email(service: Service, recipient: str, message: Message) -> Note:
    options = service.options
    port, host = int(options.get("port") or 25), str(options["host"])
    user, password = str(options.get("username") or ""), str(options.get("password") or "")
    # Port 465 speaks TLS from the first byte; who gives a password has it protected; a relay in the cluster may not.
    secure = port == 465 or bool(user)
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    query = {"from": str(options["from"]), "to": recipient, "smtp": host}
    if secure:
        query["mode"] = "ssl" if port == 465 else "starttls"
    if options.get("insecure_skip_verify"):
        query["verify"] = "no"
    html = bool(options.get("html"))
    url = f"mailto{'s' if secure else ''}://{who}{host}:{port}?{urlencode(query)}"
    subject = message.get("email", "subject") or message.text.splitlines()[0]
    return Note(url, subject, message.get("email", "body") or message.text, html)


def _by_address(option: str, kind: str) -> Callable[[Service, str, Message], Note]:
    """Services whose recipients are names of addresses that stand in the options."""

    def packed(service: Service, recipient: str, message: Message) -> Note:
        url = str(_named(service.options[option], recipient, option))
        text = message.get(kind, "text") or message.text
        return Note(url, message.get(kind, "title"), text)

    return packed


def _telegram(service: Service, recipient: str, message: Message) -> Note:
    token = quote(str(service.options["token"]), safe=":")
    return Note(f"tgram://{token}/{quote(recipient, safe='-@:')}/", "", message.text)


def _pushover(service: Service, recipient: str, message: Message) -> Note:
    token = quote(str(service.options["token"]), safe="")
    return Note(f"pover://{quote(recipient, safe='')}@{token}", "", message.text)


def _apprise(service: Service, _: str, message: Message) -> Note:
    title = message.get("apprise", "title") or message.get("email", "subject")
    return Note(str(service.options["url"]), title, message.get("apprise", "body") or message.text)


def _bearer(options: Options, headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {options['token']}"}


def _named(options: Any, recipient: str, option: str) -> Any:
    if not isinstance(options, Mapping) or recipient not in options:
        raise WordingError(f"the recipient {recipient!r} is not in the service's {option}")
    return options[recipient]


def _structure(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise WordingError(f"{what} is not JSON{where}") from None


_NEEDED, _OPTIONAL = True, False
SERVICES: Final[Mapping[str, tuple[Mapping[str, bool], Callable[[Service, str, Message], Parcel]]]] = {
    "webhook": (
        {"url": _NEEDED, "headers": _OPTIONAL, "basicAuth": _OPTIONAL, "insecureSkipVerify": _OPTIONAL},
        _webhook,
    ),
    "slack": (
        {
            "token": _NEEDED,
            "username": _OPTIONAL,
            "icon": _OPTIONAL,
            "apiURL": _OPTIONAL,
            "insecureSkipVerify": _OPTIONAL,
        },
        _slack,
    ),
    "email": (
        {
            "host": _NEEDED,
            "from": _NEEDED,
            "port": _OPTIONAL,
            "username": _OPTIONAL,
            "password": _OPTIONAL,
            "html": _OPTIONAL,
            "insecure_skip_verify": _OPTIONAL,
        },
        _email,
    ),
    "teams": ({"recipientUrls": _NEEDED}, _by_address("recipientUrls", "teams")),
    "teams-workflows": ({"recipientUrls": _NEEDED}, _by_address("recipientUrls", "teams-workflows")),
    "googlechat": ({"webhooks": _NEEDED}, _by_address("webhooks", "googlechat")),
    "telegram": ({"token": _NEEDED}, _telegram),
    "pushover": ({"token": _NEEDED}, _pushover),
    "mattermost": ({"apiURL": _NEEDED, "token": _NEEDED, "insecureSkipVerify": _OPTIONAL}, _mattermost),
    "pagerdutyv2": ({"serviceKeys": _NEEDED, "apiURL": _OPTIONAL}, _pagerduty),
    "opsgenie": ({"apiKeys": _NEEDED, "apiUrl": _OPTIONAL}, _opsgenie),
    "apprise": ({"url": _NEEDED}, _apprise),
}
"""Per type: its options, whether each is needed, and how a message is packed."""
