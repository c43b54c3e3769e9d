"""`python -m lab`: build the lab, run it, or run something inside its network."""

from __future__ import annotations

import argparse
import sys

from lab.paths import LabError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what is not yet in the cache")
    build.add_argument("programs", nargs="*", help="only these (default: all)")
    up = commands.add_parser("up", help="run a lab until Ctrl-C")
    up.add_argument("--instant-pods", action="store_true", help="pods are ready at once, no process is started")
    commands.add_parser("measure", help="print the lab's own figures")
    enter = commands.add_parser("enter", help="run a command inside a lab's network namespace")
    enter.add_argument("--new", action="store_true", help="a fresh one even if already inside one")
    init = commands.add_parser("init")
    for command in (enter, init):
        command.add_argument("argv", nargs="+", metavar="COMMAND")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace) -> int:
    from lab import netns  # noqa: PLC0415 - each command imports only what it needs: `init` stays small

    match arguments.command:
        case "enter":
            netns.enter(arguments.argv, new=arguments.new)
        case "init":
            return netns.init(arguments.argv)
        case "up":
            if not netns.inside():
                netns.enter([sys.executable, "-m", "lab", *sys.argv[1:]])
            from lab import up  # noqa: PLC0415

            return up.run(instant_pods=arguments.instant_pods)
        case "measure":
            if not netns.inside():
                netns.enter([sys.executable, "-m", "lab", *sys.argv[1:]])
            from lab import measure  # noqa: PLC0415

            return measure.run()
        case _:
            from lab import build  # noqa: PLC0415

            build.ensure(arguments.programs or None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
