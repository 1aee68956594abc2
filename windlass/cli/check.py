"""`windlass check` and `windlass schema`: what can be said of a cascade without running it."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli.exits import Exit
from windlass.cli.find import find_cascade
from windlass.cli.opening import read_settings
from windlass.cli.show import print_json
from windlass.errors import AuthorError

if TYPE_CHECKING:
    from windlass.config import Settings
    from windlass.model import Cascade, Problem


class NotBuilt(AuthorError):
    """The cascade is valid, and uses what this version cannot run."""


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people, or as JSON."
)
def check(files: tuple[str, ...], output: str) -> int:
    """Check cascades without running them.

    Errors keep a cascade from running. Warnings name what is valid but not built yet in this version:
    windlass run refuses it. FILE may also be the name of an installed cascade. Exits with 2 if there
    is an error.
    """
    from windlass.model import CascadeInvalid, load_cascade, unbuilt

    settings = read_settings()
    problems: dict[str, list[Problem]] = {}
    for name in files:
        path = find_cascade(name, home=settings.home)
        try:
            problems[str(path)] = unbuilt(load_cascade(path, search=search_path(settings)))
        except CascadeInvalid as error:
            problems[str(path)] = error.problems
    wrong = any(_is_error(problem) for found in problems.values() for problem in found)
    if output == "json":
        print_json([_as_json(file, found) for file, found in problems.items()])
    else:
        for file, found in problems.items():
            _print(file, found)
    return Exit.USAGE if wrong else Exit.OK


@click.command(short_help="Print the JSON Schema of cascade files.")
def schema() -> None:
    """Print the JSON Schema of cascade files, for completion in editors.

    \b
    windlass schema > cascade.schema.json
    and at the top of a cascade:  # yaml-language-server: $schema=cascade.schema.json
    """  # noqa: D301  # click reads \b as: keep these lines as they are
    from windlass.model import cascade_schema

    click.echo(json.dumps(cascade_schema(), indent=2))


def load_to_run(name: str, settings: "Settings") -> "Cascade":
    """The cascade called `name`, if this version runs it.

    Raises:
        NotFound: there is none.
        CascadeInvalid: it is wrong.
        NotBuilt: it uses what is not built yet.
    """
    from windlass.model import load_cascade, unbuilt

    path = find_cascade(name, home=settings.home)
    cascade = load_cascade(path, search=search_path(settings))
    missing = unbuilt(cascade)
    if missing:
        # What `check` only warns of is the error here.
        lines = "\n".join(f"  {replace(problem, severity='error')}" for problem in missing)
        raise NotBuilt(f"{path} uses what this version of Windlass cannot run yet:\n{lines}")
    return cascade


def search_path(settings: "Settings") -> tuple[Path, ...]:
    """Where names in a cascade are found beside its own folder."""
    return (settings.home, settings.home / "tackle", settings.home / "cascades")


def _print(file: str, problems: "list[Problem]") -> None:
    for problem in problems:
        click.echo(str(problem))
    errors = sum(_is_error(problem) for problem in problems)
    warnings = len(problems) - errors
    if errors:
        click.echo(
            f"{file}: {_count(errors, 'error')}" + (f", {_count(warnings, 'warning')}" if warnings else "")
        )
    elif warnings:
        click.echo(f"{file}: valid, but this version cannot run it yet ({_count(warnings, 'warning')})")
    else:
        click.echo(f"{file}: ok")


def _is_error(problem: "Problem") -> bool:
    return problem.severity == "error"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _as_json(file: str, problems: "list[Problem]") -> dict[str, object]:
    return {
        "file": file,
        "valid": not any(_is_error(problem) for problem in problems),
        "problems": [asdict(problem) for problem in problems],
    }
