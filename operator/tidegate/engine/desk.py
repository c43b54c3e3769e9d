"""What notifications need of the engine: objects to read, settings, the mark on a Rollout, Events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from tidegate.api import names
from tidegate.cluster.client import Client
from tidegate.cluster.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from tidegate.cluster.store import Store
from tidegate.core.plan import Event, Key, Write
from tidegate.engine.writing import Writer
from tidegate.observe.notify.desk import DeskError

if TYPE_CHECKING:
    from tidegate.observe.notify.deciding import Due
    from tidegate.observe.notify.settings import Settings

Obj = Mapping[str, Any]
Sent = Callable[["Due", float, bool], None]

log = structlog.get_logger(__name__)


class EngineDesk:
    """The engine as the courier sees it.

    home: the namespace of the ConfigMap and the Secret. They are read when there may be something to tell, and no more
    than twice a minute: a watch on each would cost every replica two connections for what changes once a month.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        writer: Writer,
        *,
        home: str,
        acts: Callable[[], bool],
        record: Callable[[Obj, Event], None],
        sent: Sent,
    ) -> None:
        self._client = client
        self._store = store
        self._writer = writer
        self._home = home
        self._acts = acts
        self._record = record
        self._sent = sent
        self._versions: tuple[str, str] = ("", "")
        self._settings: Settings | None = None
        self._forbidden = False

    @property
    def leading(self) -> bool:
        """Whether this replica is the one that acts."""
        return self._acts()

    def rollouts(self) -> Sequence[Key]:
        """The Rollouts that there are."""
        return self._store.keys(names.ROLLOUT)

    def rollout(self, key: Key) -> Obj | None:
        """One Rollout."""
        return self._store.get(key)

    def runs(self, rollout: Obj) -> Sequence[Obj]:
        """The AnalysisRuns that it owns."""
        metadata = rollout["metadata"]
        return self._store.owned(names.ANALYSIS_RUN, metadata["uid"], metadata.get("namespace", ""))

    async def set_up(self) -> bool:
        """Whether there is a ConfigMap."""
        return await self._read("ConfigMap", names.NOTIFICATION_CONFIG_MAP) is not None

    async def settings(self) -> Settings:
        """What the ConfigMap and the Secret say now; the same object while they say the same."""
        from tidegate.observe.notify.services import check_service  # noqa: PLC0415 - for those who use it
        from tidegate.observe.notify.settings import Settings, read_settings  # noqa: PLC0415

        config_map = await self._read("ConfigMap", names.NOTIFICATION_CONFIG_MAP)
        secret = await self._read("Secret", names.NOTIFICATION_SECRET) if config_map else None
        versions = (_version(config_map), _version(secret))
        if self._settings is None or versions != self._versions:
            given = read_settings(config_map, secret, check=check_service) if config_map else Settings()
            self._settings, self._versions = given, versions
        return self._settings

    async def mark(self, rollout: Obj, text: str | None) -> None:
        """Write down on a Rollout what was told. One that is gone meanwhile needs nothing."""
        metadata = rollout["metadata"]
        key = Key(names.ROLLOUT, metadata.get("namespace", ""), metadata["name"])
        body = {"metadata": {"uid": metadata["uid"], "annotations": {names.NOTIFIED: text}}}
        try:
            # As if the Rollout's own reconcile had written it: nothing that is decided about it hangs on the mark.
            await self._writer.send(Write("patch", key, body), key)
        except (Conflict, Invalid):
            return
        except ClusterError as error:
            raise DeskError(str(error)) from None

    def record(self, rollout: Obj, event: Event) -> None:
        """Record an Event about a Rollout."""
        self._record(rollout, event)

    def sent(self, due: Due, seconds: float, worked: bool) -> None:
        """Count a message."""
        self._sent(due, seconds, worked)

    async def _read(self, kind: str, name: str) -> Obj | None:
        try:
            return await self._client.get(Key(kind, self._home, name))
        except NotFound:
            return None
        except Forbidden:
            if not self._forbidden:
                self._forbidden = True
                log.warning("notifications are off: this operator may not read their settings", kind=kind, name=name)
            return None
        except ClusterError as error:
            raise DeskError(str(error)) from None


def _version(obj: Obj | None) -> str:
    return str(obj["metadata"]["resourceVersion"]) if obj else ""
