"""`windlass run`: start a session, or go on with one, and show what comes of it."""

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from windlass.cli.check import load_to_run
from windlass.cli.exits import code_of_report
from windlass.cli.interrupt import stopping_on_signals
from windlass.cli.opening import read_settings
from windlass.cli.progress import make_progress
from windlass.cli.report import Events, print_report
from windlass.cli.values import read_input
from windlass.errors import AuthorError, WindlassError
from windlass.records import JsonObject, LogLine

if TYPE_CHECKING:
    from windlass.config import Settings
    from windlass.worker import LocalWorker

_FORMATS = click.Choice(["table", "json", "jsonl"])


@dataclass(frozen=True, slots=True)
class View:
    """How a running session and its end are shown.

    Attributes:
        output: table, json or jsonl.
        quiet: no progress and no hints.
    """

    output: str
    quiet: bool


@click.command()
@click.argument("cascade", metavar="[FILE|NAME]", required=False, type=click.Path())
@click.option(
    "-i", "pairs", metavar="NAME=VALUE", multiple=True, help="One input; see above. May be repeated."
)
@click.option(
    "--input", "whole", metavar="JSON|@FILE", help="The whole input as a JSON object; @- reads stdin."
)
@click.option("-o", "--output", type=_FORMATS, default="table", help="How the result is printed; see above.")
@click.option(
    "--session", metavar="ID", default="", help="The session's id: a new one, or one to go on with."
)
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag of the session. May be repeated.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no hints on stderr.")
def run(
    cascade: str | None,
    pairs: tuple[str, ...],
    whole: str | None,
    output: str,
    session: str,
    tags: tuple[str, ...],
    quiet: bool,
) -> int:
    """Run a cascade and print its result.

    FILE is a YAML or JSON file. NAME is the cascade_id or file name of a cascade in
    WINDLASS_ROOT/cascades or of a shipped example. Without either, --session ID goes on where that
    session stopped: at the next phase if it was interrupted, at the failed one if it failed; a
    completed session prints its result again.

    \b
    -i year=2015      a value is JSON if it can be (numbers, true, null, lists), else text;
                      the cascade's inputs_schema decides where it says "string"
    -i path=in.csv    the name of an existing file becomes an absolute path,
                      and the cascade may read that file

    \b
    -o table          the result for people
    -o json           one object: session_id, status, outputs, result, error, …
    -o jsonl          every event as it happens, a line each, and that object last
    """  # noqa: D301  # click reads \b as: keep these lines as they are
    settings = read_settings()
    view = View(output=output, quiet=quiet)
    if cascade is None:
        if not session:
            raise click.UsageError("name a cascade: windlass run FILE, or go on with a session: --session ID")
        if pairs or whole or tags:
            raise click.UsageError(
                "a session that goes on has its input and tags already; leave out -i, --input, --tag"
            )
        return drive(settings, view, lambda worker: worker.run(session))
    loaded = load_to_run(cascade, settings)
    given = read_input(pairs, whole, schema=loaded.inputs_schema)
    from windlass.worker import checked_input

    value = checked_input(loaded, given.values)  # what is wrong with it is said before anything is started

    def start(worker: "LocalWorker") -> JsonObject:
        submitted = worker.submit(
            loaded,
            value,
            session_id=session,
            grants=given.grants,
            requested_by=_user(),
            tags=tags,
        )
        if submitted.cascade_id != loaded.cascade_id or dict(submitted.input) != value:
            raise AuthorError(
                f"there is a session {session} already, of another cascade or with another input",
                hint=f"to go on with it: windlass run --session {session}",
            )
        return worker.run(submitted.session_id)

    return drive(settings, view, start)


def drive(settings: "Settings", view: View, start: "Callable[[LocalWorker], JsonObject]") -> int:
    """Open the store and a worker, let `start` run a session in it, and print its report.

    Returns:
        The exit code.
    """
    from windlass.phases import Stop
    from windlass.store import open_store
    from windlass.worker import Busy, Footing, LocalWorker

    stop = Stop()
    events = Events() if view.output == "jsonl" else None
    progress = make_progress(quiet=view.quiet)
    seen: list[str] = []

    def watch(line: LogLine) -> None:
        if not seen:
            seen.append(line.session_id)
        if events is not None:
            events.print(line)
        progress.watch(line)

    try:
        # The footing first: its process imports its libraries while this one opens the store.
        with (
            stopping_on_signals(stop, is_quiet=view.quiet),
            Footing(settings) as footing,
            open_store(settings) as store,
            LocalWorker(settings=settings, store=store, footing=footing, watch=watch, stop=stop) as worker,
            progress,
        ):
            stop.check()
            report = start(worker)
    except WindlassError as error:
        if seen and not isinstance(error, Busy):
            # The session began, and what ended this process did not end it.
            error.hint = f"{error.hint}\ngo on with: windlass run --session {seen[0]}".lstrip()
        raise
    print_report(report, view.output, home=settings.home, quiet=view.quiet)
    return code_of_report(report)


def _user() -> str:
    """Who asks, as far as this machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have them
        return ""
