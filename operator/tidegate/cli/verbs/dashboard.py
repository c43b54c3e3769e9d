"""`tidegate dashboard`: the page, from a laptop."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.options import cluster_verb
from tidegate.cli.words import Where


@cluster_verb
def dashboard(
    where: Where,
    everywhere: bool,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; any free one by default.", show_default=False)] = 0,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
) -> None:
    """Show Rollouts in the browser, live, with buttons: with your own rights, for you alone, until Ctrl-C.

    All namespaces where you may list their Rollouts, else the context's; -n names one.
    """
    from tidegate.cli.printing import note
    from tidegate.cli.session import Session, visit
    from tidegate.cli.told import Told
    from tidegate.dashboard import laptop
    from tidegate.dashboard.rights import Laptop, Right

    def announce(address: str) -> None:
        typer.echo(address)
        note("Whoever has this address acts with your rights. Ctrl-C ends it.")
        if browse:
            typer.launch(address)

    async def serve(session: Session) -> None:
        may = Laptop(session.client, "", "").visitor.may
        namespace = session.namespace
        if (everywhere or not where.namespace) and await may(Right("list", "Rollout")):
            namespace = ""
        elif not await may(Right("list", "Rollout", namespace)):
            place = f"in namespace {namespace}" if namespace else "in all namespaces"
            raise Told(f"you may not list Rollouts {place}; -n names another namespace")
        name = where.context or "the kubeconfig's user"
        try:
            await laptop.serve(session.client, namespace, name, port, announce)
        except OSError as error:
            raise Told(f"port {port} can't be listened on: {error.strerror}; --port names another") from None

    visit(where, serve)
