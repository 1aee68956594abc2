"""The `windlass` command: finds the subcommand, imports only its module, and exits with its code."""

import io
import sys
from importlib import import_module
from typing import NoReturn

import click

from windlass import __version__
from windlass.cli.exits import guarded

# Command → where it is defined. Read only when it is called or listed, so that no command pays for another.
_COMMANDS = {
    "run": "windlass.cli.run:run",
    "check": "windlass.cli.check:check",
    "schema": "windlass.cli.check:schema",
    "sessions": "windlass.cli.sessions:sessions",
    "logs": "windlass.cli.logs:logs",
    "sql": "windlass.cli.sql:sql",
    "clickhouse": "windlass.cli.clickhouse:clickhouse",
    "migrate": "windlass.cli.migrate:migrate",
    "doctor": "windlass.cli.doctor:doctor",
    "completion": "windlass.cli.completion:completion",
    "version": "windlass.cli.completion:version",
}

_EPILOG = """\b
Exit codes: 0 ok, 1 session failed, 2 usage or invalid cascade or input, 3 not found,
4 not let in, 5 store unreachable, 6 waiting for a person, 7 cancelled, 8 timed out,
70 a bug of Windlass, 130 Ctrl-C.

Settings are WINDLASS_* variables; windlass doctor shows the ones in force."""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(_unknown(args[0]), ctx) from error

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderLeft from error  # click would make of it an exit code that says "session failed"


class _ReaderLeft(Exception):  # no error: `windlass sql … | head` ends this way
    """Whoever read stdout has closed it."""


@click.group(cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="windlass", message="%(prog)s %(version)s")
def cli() -> None:
    """Run declarative workflows ("cascades"), and query everything they did with SQL.

    \b
    windlass run seattle_weather         run a cascade (a file, or the name of an example)
    windlass sessions list               what ran
    windlass logs SESSION                what happened in it
    windlass sql "SELECT * FROM phases"  everything it did, in ClickHouse's SQL
    """  # noqa: D301  # click reads \b as: keep these lines as they are


def main() -> NoReturn:
    """Run the command in `sys.argv` and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its escape; no output fails for want of a font.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(int(guarded(_run)))


def _run() -> int:
    try:
        code = cli.main(prog_name="windlass", standalone_mode=False)
        sys.stdout.flush()  # here, where a closed pipe is still ours to handle
    except _ReaderLeft:
        raise BrokenPipeError from None
    return code if isinstance(code, int) else 0


def _unknown(name: str) -> str:
    import difflib  # only on the way to an error

    if name.startswith("-"):
        return f"there is no option {name}"
    near = difflib.get_close_matches(name, _COMMANDS, n=1)
    guess = f"did you mean '{near[0]}'?" if near else f"the commands are {', '.join(_COMMANDS)}"
    if name.endswith((".yaml", ".yml", ".json")):
        guess = f"to run a cascade: windlass run {name}"
    return f"there is no command '{name}'; {guess}"
