"""The page's HTTP: shell, assets, streams, buttons, and coming in and going out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from importlib import resources
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tidegate import __version__
from tidegate.cluster.errors import ApiError, ClusterError, NotFound
from tidegate.core.plan import Key
from tidegate.dashboard.actions import ACTIONS
from tidegate.dashboard.asks import Ask, MovedOn, NotNow, carry_out
from tidegate.dashboard.guard import LOOPBACK, App, Guard, host_name
from tidegate.dashboard.live import Live
from tidegate.dashboard.rights import Door, NotAllowed, Unknown, Visitor
from tidegate.dashboard.streams import list_stream, told, whole_stream

MOST_VIEWERS: Final = 200
_LONGEST_COOKIE: Final = 3800
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_COOKIE_KEEPS_OUT: Final = frozenset(';,"\\ ')


class Page:
    """The page's answers. cookie: the name of its cookie. header: in which a proxy hands on the visitor's token."""

    def __init__(self, live: Live, door: Door, *, cookie: str, header: str = "authorization") -> None:
        self._live, self._door = live, door
        self._cookie, self._header = cookie, header.lower()
        self._files = _files()

    @property
    def signs_in(self) -> bool:
        """Whether visitors can sign in here, with a token."""
        return self._door.mode == "operator"

    def routes(self) -> list[Route]:
        laptop = self._door.mode == "laptop"
        coming_in = [Route("/enter", self.enter)] if laptop else []
        sessions = [] if laptop else [Route("/api/session", self.sign, methods=["POST", "DELETE"])]
        return [
            Route("/", self.shell),
            Route("/rollouts/{namespace}/{name}", self.shell),
            Route("/assets/{file}", self.asset),
            *coming_in,
            *sessions,
            Route("/api/me", self.me),
            Route("/api/rollouts", self.rollouts),
            Route("/api/rollouts/{namespace}/{name}", self.rollout),
            Route("/api/rollouts/{namespace}/{name}/{action}", self.act, methods=["POST"]),
        ]

    # -- coming in -------------------------------------------------------------------------------------------------

    async def _visitor(self, request: Request) -> Visitor:
        given = request.headers.get(self._header, "") if self._door.mode == "operator" else ""
        if self._header == "authorization":
            scheme, _, given = given.partition(" ")
            given = given.strip() if scheme.lower() == "bearer" else ""
        return await self._door.who(request.cookies.get(self._cookie, ""), given)

    async def enter(self, request: Request) -> Response:
        """The address that the terminal has printed: its key becomes a cookie, and leaves the address."""
        key = request.query_params.get("key", "")
        await self._door.who(key, "")
        # A redirect would still count as a visit from where the link stood, and the strict cookie would not be sent.
        answer = Response(self._files["enter.html"], media_type=_TYPES["html"])
        self._set_cookie(request, answer, key)
        return answer

    async def sign(self, request: Request) -> Response:
        """Sign in with a token, or out."""
        if request.method == "DELETE":
            answer = JSONResponse({"said": "Signed out."})
            answer.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict")
            return answer
        body = await _json(request)
        token = str(body.get("token") or "").strip()
        if not token:
            raise Unknown("Paste a token first.")
        if len(token) > _LONGEST_COOKIE or _COOKIE_KEEPS_OUT & set(token):
            raise Unknown("That is no token that a browser can keep. Longer ones need a proxy that signs people in.")
        visitor = await self._door.who(token, "")
        answer = JSONResponse({"name": visitor.name})
        self._set_cookie(request, answer, token)
        return answer

    def _set_cookie(self, request: Request, answer: Response, value: str) -> None:
        # By plain HTTP a token may travel on loopback alone; anywhere else the browser drops the cookie.
        secure = host_name(request.headers.get("host", "")) not in LOOPBACK
        answer.set_cookie(self._cookie, value, path="/", httponly=True, samesite="strict", secure=secure)

    async def me(self, request: Request) -> Response:
        """Who the visitor is, and where."""
        visitor = await self._visitor(request)
        told = {"mode": self._door.mode, "name": visitor.name, "namespace": self._live.namespace}
        return JSONResponse({**told, "version": __version__})

    # -- looking ---------------------------------------------------------------------------------------------------

    async def shell(self, request: Request) -> Response:
        return Response(self._files["page.html"], media_type=_TYPES["html"])

    async def asset(self, request: Request) -> Response:
        name = request.path_params["file"]
        found = self._files.get(name)
        if found is None:
            return _said(404, "There is no such file.")
        return Response(found, media_type=_TYPES[name.rpartition(".")[2]], headers={"Cache-Control": "no-cache"})

    async def rollouts(self, request: Request) -> Response:
        namespace = request.query_params.get("namespace", "")
        return await self._stream(request, lambda reenter: list_stream(self._live, reenter, namespace))

    async def rollout(self, request: Request) -> Response:
        at = request.path_params
        return await self._stream(
            request, lambda reenter: whole_stream(self._live, reenter, at["namespace"], at["name"])
        )

    async def _stream(self, request: Request, open_: Callable[[Any], AsyncIterator[bytes]]) -> Response:
        if self._live.viewers >= MOST_VIEWERS:
            return _said(503, "Too many look at this page already. Close one, or try again later.")

        async def reenter() -> Visitor:
            return await self._visitor(request)

        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(told(open_(reenter)), media_type="text/event-stream", headers=headers)

    # -- asking ----------------------------------------------------------------------------------------------------

    async def act(self, request: Request) -> Response:
        """Press a button."""
        visitor = await self._visitor(request)
        at = request.path_params
        action = ACTIONS.get(at["action"])
        if action is None:
            return _said(404, "There is no such button.")
        body = await _json(request)
        shown, revision = body.get("seen"), body.get("revision", 0)
        if not isinstance(shown, dict) or not isinstance(revision, int) or isinstance(revision, bool) or revision < 0:
            return _said(400, "The page has asked for something that makes no sense. Load it anew.")
        key = Key("Rollout", at["namespace"], at["name"])
        return JSONResponse({"said": await carry_out(Ask(self._live, action, key, shown, revision), visitor)})


def make_app(page: Page, hosts: Iterable[str] = ()) -> App:
    """The whole page behind its guard. hosts: as for Guard."""
    refusals: dict[Any, Any] = {
        Unknown: lambda request, error: JSONResponse({"said": str(error), "signIn": page.signs_in}, 401),
        NotAllowed: lambda request, error: _said(403, str(error)),
        MovedOn: lambda request, error: _said(409, str(error)),
        NotNow: lambda request, error: _said(409, str(error)),
        NotFound: lambda request, error: _said(404, "It is no longer there."),
        ApiError: lambda request, error: _said(502, f"The API server refuses this: {error.message}"),
        ClusterError: lambda request, error: _said(
            502, "The API server does not answer. Whether it was done is not known."
        ),
    }
    return Guard(Starlette(routes=page.routes(), exception_handlers=refusals), hosts)


def _said(status: int, words: str) -> Response:
    return JSONResponse({"said": words}, status)


async def _json(request: Request) -> dict[str, Any]:
    try:
        found = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _files() -> dict[str, bytes]:
    """The page's files by name; nothing else can be asked for."""
    folder = resources.files("tidegate.dashboard").joinpath("static")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES}
