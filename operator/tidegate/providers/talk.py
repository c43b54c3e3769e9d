"""A provider's talk with its server: questions, credentials, and what is said about either when it goes wrong."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from tidegate.core.analysis.secrecy import conceal
from tidegate.core.analysis.values import show_json
from tidegate.providers.http import PORTS, Answer, Http, of_address
from tidegate.providers.wording import AnswerError, answered, explain, public_address, shortened


class AskError(AnswerError):
    """A question without an answer. The text is a whole sentence, fit for a status.

    hidden: the credentials that were used, for whatever else is said about the measurement.
    """

    def __init__(self, text: str, hidden: frozenset[str] = frozenset()) -> None:
        super().__init__(conceal(text, hidden))
        self.hidden = hidden


@dataclass(slots=True)
class Talk:
    """The questions of one measurement, all within one time.

    who: what the server is called in messages. seconds: from now on.
    hidden: grows by what is added while talking, such as an access token.
    """

    http: Http
    who: str
    seconds: float
    insecure: bool = False
    hidden: frozenset[str] = frozenset()
    until: float = 0.0
    """When the time is over, by the event loop's clock; set from `seconds`."""

    def __post_init__(self) -> None:
        self.until = self.until or asyncio.get_running_loop().time() + self.seconds

    async def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One question. Raises AskError."""
        self.hide(*access_in(url))
        try:
            plain, sent = _prepared(url, headers or {})
            async with asyncio.timeout_at(self.until):
                return await self.http.send(method, plain, sent, body, insecure=self.insecure)
        except AnswerError as error:
            raise self.fault(url, str(error)) from None
        except Exception as error:  # noqa: BLE001 - whatever goes wrong while asking is the measurement's error
            raise self.fault(url, explain(error, self.seconds)) from None

    async def ask_json(self, url: str, **more: Any) -> Any:
        """One question whose answer is JSON and of a status of 2xx. Raises AskError."""
        answer = await self.ask(url, **more)
        if not answer.fine:
            raise self.refused(url, answer)
        try:
            return answer.json()
        except AnswerError as error:
            raise self.fault(url, str(error)) from None

    def refused(self, url: str, answer: Answer) -> AskError:
        """An answer of another status than 2xx, with the server's own words where they are JSON."""
        return self.fault(url, answered(answer.status, self.conceal(_words(answer))))

    def fault(self, url: str, what: str) -> AskError:
        """Something wrong with the server at `url`: `what` follows its name."""
        return AskError(shortened(self.conceal(f"{self.who} at {public_address(url)} {what}"), 800), self.hidden)

    def conceal(self, text: str) -> str:
        return conceal(text, self.hidden)

    def shown(self, value: Any, longest: int) -> str:
        """A result as a status shows it. A long one is cut before it is searched for credentials, and again after."""
        return shortened(self.conceal(shortened(show_json(value), 4 * longest)), longest)

    def hide(self, *secrets: str) -> None:
        self.hidden |= {secret for secret in secrets if secret}

    async def access(self, authentication: Mapping[str, Any]) -> dict[str, str]:
        """The header that says who asks, as `authentication` of a metric wants it; none for nothing."""
        basic, oauth2 = authentication.get("basicAuth") or {}, authentication.get("oauth2") or {}
        if basic.get("username"):
            return {"Authorization": self._basic(str(basic["username"]), str(basic.get("password") or ""))}
        if oauth2.get("tokenUrl"):
            return {"Authorization": f"Bearer {await self._token(oauth2)}"}
        return {}

    async def _token(self, oauth2: Mapping[str, Any]) -> str:
        """An access token by the client credentials grant (RFC 6749, 4.4).

        The client says who it is by header and, where that is refused, by form, as Go's client does.
        """
        url, name, secret = (str(oauth2.get(field) or "") for field in ("tokenUrl", "clientId", "clientSecret"))
        self.hide(secret)
        form = {"grant_type": "client_credentials"}
        if oauth2.get("scopes"):
            form["scope"] = " ".join(map(str, oauth2["scopes"]))
        content = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        by_header = {"Authorization": self._basic(quote(name, safe=""), quote(secret, safe=""))}
        talk = replace(self, who="the OAuth2 server")
        answer = await talk.ask(url, method="POST", headers=content | by_header, body=urlencode(form).encode())
        if 400 <= answer.status < 500:
            form |= {"client_id": name, "client_secret": secret}
            answer = await talk.ask(url, method="POST", headers=content, body=urlencode(form).encode())
        if not answer.fine:
            raise talk.refused(url, answer)
        try:
            token = answer.json()["access_token"]
        except (AnswerError, TypeError, KeyError):
            token = None
        if not isinstance(token, str) or not token:
            raise talk.fault(url, "gave an answer without an access token")
        self.hide(token)
        return token

    def _basic(self, name: str, password: str) -> str:
        encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
        self.hide(password, encoded)
        return f"Basic {encoded}"


def access_in(url: str) -> set[str]:
    """What must not be shown of user and password in an address: the password, or a token in its place, and the header
    that both become."""
    try:
        user, _, _ = urlsplit(url).netloc.rpartition("@")
    except ValueError:
        return set()
    name, _, password = user.partition(":")
    return {password or name, *(header.removeprefix("Basic ") for header in of_address(url).values())} - {""}


def header_map(headers: Any) -> dict[str, str]:
    """The `headers` of a metric; of one that is named twice the last counts."""
    return {str(header["key"]): str(header.get("value") or "") for header in headers or ()}


def breaks_line(text: str) -> bool:
    """Whether a text can't stand in a header."""
    return any(char in text for char in "\r\n\0")


def broken_header(name: str) -> str:
    return f"the header {name!r} holds a line break, and a Secret may end with one"


def _prepared(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address without user and password, and the headers with them. Raises AnswerError."""
    for name, value in headers.items():
        if breaks_line(name + value):
            raise AnswerError(f"can't be asked: {broken_header(name)}")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise AnswerError("has an address that is not a URL") from None
    if parts.scheme not in PORTS:
        raise AnswerError("has an address that is neither http:// nor https://")
    if not host:
        raise AnswerError("has an address that is not a URL")
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, parts.query, "")), {**of_address(url), **headers}


def _words(answer: Answer) -> str:
    """What a server says about an error, in any of the forms that are usual."""
    try:
        said = answer.json()
    except AnswerError:
        return ""
    if isinstance(said, dict):
        for name in ("error", "errors", "message", "error_description", "errorMessage", "errorType"):
            if found := _text(said.get(name)):
                return found
    return ""


def _text(said: Any) -> str:
    if isinstance(said, dict):
        said = said.get("message")
    if isinstance(said, list):
        return "; ".join(filter(None, map(_text, said[:3])))
    return said if isinstance(said, str) else ""
