"""`windlass doctor`: what this installation has and lacks, a line for each thing."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from windlass.cli.exits import Exit
from windlass.cli.opening import read_settings
from windlass.cli.show import size
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.config import Settings

_PYTHON_MIN = (3, 11)
# Below this a store soon stops: ClickHouse needs room to merge, and a scratch may take a few GiB.
_DISK_LOW_BYTES = 2 * 1024**3
_DISK_OUT_BYTES = 200 * 1024**2
_PACKAGES = ("clickhouse_connect", "duckdb", "pandas", "pyarrow", "requests", "jsonschema")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        grade: warn does not keep Windlass from working, fail does.
        what: the thing looked at.
        facts: what was found.
        cure: what to do about it, or "".
    """

    grade: Literal["ok", "warn", "fail"]
    what: str
    facts: str
    cure: str = ""


@click.command(short_help="Look at settings, store and machine.")
def doctor() -> int:
    """Look at the settings, the store and the machine, and say what to do about what is wrong.

    Exits with 0 if everything that Windlass needs is there, with 5 if not.
    """
    failed = False
    for finding in _look():
        failed = failed or finding.grade == "fail"
        colour = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.grade]
        click.echo(f"{click.style(f'{finding.grade:<4}', fg=colour)}  {finding.what}: {finding.facts}")
        if finding.cure:
            click.echo(f"      {finding.cure}")
    return Exit.UNREACHABLE if failed else Exit.OK


def _look() -> Iterator[Finding]:
    """Every finding, the quick ones first."""
    yield _python()
    yield from _packages()
    yield from _programs()
    try:
        settings = read_settings()
    except WindlassError as error:
        yield Finding("fail", "settings", error.message, error.hint)
        return
    changed = sorted(name for name in os.environ if name.startswith("WINDLASS_"))
    yield Finding("ok", "settings", ", ".join(changed) if changed else "all at their defaults")
    yield from _folder(settings)
    yield from _store(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _PYTHON_MIN:
        return Finding("fail", "python", version, "Windlass needs 3.11 or newer")
    if not sys.platform.startswith("linux"):
        return Finding("warn", "python", f"{version} on {sys.platform}", "isolated phases need Linux")
    return Finding("ok", "python", version)


def _packages() -> Iterator[Finding]:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "fail",
            "packages",
            f"missing: {', '.join(missing)}",
            "install Windlass again: pip install windlass",
        )
    else:
        yield Finding("ok", "packages", "all there")


def _programs() -> Iterator[Finding]:
    for name, need in (("bash", "shell phases and bash_data"), ("node", "js_data")):
        path = shutil.which(name)
        if path:
            yield Finding("ok", name, path)
        else:
            yield Finding("warn", name, "not on PATH", f"{need} will fail without it; nothing else needs it")


def _folder(settings: "Settings") -> Iterator[Finding]:
    home = settings.home
    there = home
    while not there.exists() and there != there.parent:
        there = there.parent
    if not os.access(there, os.W_OK):
        yield Finding(
            "fail", "folder", f"{home} cannot be written", "let this user write there, or set WINDLASS_ROOT"
        )
        return
    yield Finding("ok", "folder", f"{home}" + ("" if home.exists() else " (made when it is first needed)"))
    free = shutil.disk_usage(there).free
    if free < _DISK_OUT_BYTES:
        yield Finding(
            "fail", "disk", f"{size(free)} free", "free some space, or set WINDLASS_ROOT to a larger disk"
        )
    elif free < _DISK_LOW_BYTES:
        yield Finding(
            "warn", "disk", f"{size(free)} free", "a busy store and large tables need more than that"
        )
    else:
        yield Finding("ok", "disk", f"{size(free)} free")


def _store(settings: "Settings") -> Iterator[Finding]:
    """Opening it checks most: address, credentials, schema, and the settings of the claims tables."""
    embedded = settings.store_url.startswith("chdb://")
    if embedded and importlib.util.find_spec("chdb") is None:
        cure = "pip install 'windlass[embedded]', or point WINDLASS_CLICKHOUSE_URL at a server"
        yield Finding("fail", "store", "the embedded ClickHouse engine (chdb) is not installed", cure)
        return
    from windlass.store import open_store

    try:
        with open_store(settings) as store:
            facts = store.describe()
    except WindlassError as error:
        yield Finding("fail", "store", error.message, error.hint)
        return
    how = "embedded, in this process" if facts["is_embedded"] else f"at {facts['address']}"
    yield Finding("ok", "store", f"ClickHouse {facts['version']}, {how}, database {facts['database']}")
    rows = sum(table["rows"] for table in facts["tables"].values())
    held = sum(table["bytes"] for table in facts["tables"].values())
    tables = f"{len(facts['tables'])} tables, {rows:,} rows, {size(held)}"
    yield Finding("ok", "schema", f"up to date; claims can be made safely; {tables}")
