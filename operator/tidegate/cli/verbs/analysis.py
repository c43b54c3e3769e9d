"""`tidegate analysis`: what the judge found, what it would see, and what it would have said of recorded traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.options import OutputOption, cluster_verb, telling
from tidegate.cli.words import Where

analysis_verbs = typer.Typer(no_args_is_help=True, help="The judge: explain a run, plan a comparison, try one out.")


@analysis_verbs.command()
@cluster_verb
def explain(
    where: Where,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The AnalysisRun's name.")],
    output: OutputOption = None,
) -> None:
    """Show what each metric that compares has found, on what evidence, and how the evidence grew."""
    from tidegate.cli.judging import explaining

    explaining.explain(where, run, output)


@analysis_verbs.command()
def plan(
    requests: Annotated[float, typer.Option("--requests", help="Requests a second of both versions together.")],
    error_rate: Annotated[str, typer.Option("--error-rate", help="Stable's share of bad requests, such as 0.5%.")],
    steps: Annotated[
        str, typer.Option("--steps", help="Weight and time of each step, such as 5%:10m,25%:10m,50%:10m.")
    ],
    interval: Annotated[str, typer.Option("--interval", help="Time between two looks.")] = "30s",
    false_alarm: Annotated[float, typer.Option("--false-alarm", help="The metric's share of the budget.")] = 0.01,
    tolerated: Annotated[float, typer.Option("--tolerated", help="As in the metric.")] = 1.1,
    safe: Annotated[float, typer.Option("--safe", help="As in the metric.")] = 2.0,
    output: OutputOption = None,
) -> None:
    """Say which regression would be seen, how surely, after how long, and how many users would meet it."""
    from tidegate.cli.judging import planning

    limits = (false_alarm, tolerated, safe)
    telling(lambda: planning.plan(requests, error_rate, steps, interval=interval, limits=limits, output=output))


@analysis_verbs.command()
def backtest(
    template: Annotated[Path, typer.Argument(metavar="TEMPLATE", help="A file with an (Cluster)AnalysisTemplate.")],
    prometheus: Annotated[str, typer.Option("--prometheus", help="The server to ask.", show_default=False)] = "",
    data: Annotated[Path | None, typer.Option("--data", help="A file saved before.", show_default=False)] = None,
    start: Annotated[str, typer.Option("--start", help="2026-05-01T10:00:00Z, or how long ago: 2h.")] = "1h",
    end: Annotated[str, typer.Option("--end", help="As --start; now by default.", show_default=False)] = "",
    canary: Annotated[
        list[str] | None, typer.Option("--canary", help="podTemplateHash=6f…, service=…", show_default=False)
    ] = None,
    stable: Annotated[list[str] | None, typer.Option("--stable", help="As --canary.", show_default=False)] = None,
    arg: Annotated[list[str] | None, typer.Option("--arg", help="An argument, name=value.", show_default=False)] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split", help="Compare stable with itself, its pods told apart by this label.", show_default=False
        ),
    ] = "",
    size: Annotated[int, typer.Option("--size", min=1, help="With --split: so many pods play the canary.")] = 1,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write what was asked into a file.", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw the evidence, as SVG.", show_default=False)
    ] = None,
    output: OutputOption = None,
) -> None:
    """Replay a template against recorded traffic: a known incident, or one version against itself.

    With --canary and --stable: what would have been found, and how soon. With --stable and --split pod: how often one
    version is called worse than itself on your traffic.
    """
    from tidegate.cli.judging import backtesting

    telling(
        lambda: backtesting.backtest(
            backtesting.Wish(
                template=template,
                prometheus=prometheus,
                data=data,
                start=start,
                end=end,
                canary=tuple(canary or ()),
                stable=tuple(stable or ()),
                args=tuple(arg or ()),
                split=split,
                size=size,
            ),
            save,
            picture,
            output,
        )
    )
