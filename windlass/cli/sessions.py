"""`windlass sessions`: which there are, how one stands, and running one again."""

from dataclasses import asdict
from getpass import getuser
from typing import TYPE_CHECKING

import click

from windlass.cli.opening import opened_store, read_settings
from windlass.cli.report import print_report
from windlass.cli.run import View, drive
from windlass.cli.show import as_json, print_json, print_table, seconds
from windlass.records import Status

if TYPE_CHECKING:
    from windlass.records import JsonObject
    from windlass.store import Page

_FORMATS = click.Choice(["table", "json", "jsonl"])


@click.group()
def sessions() -> None:
    """List sessions, look at one, run one again, or end one."""


@sessions.command("list")
@click.option(
    "--status", type=click.Choice([str(status) for status in Status]), help="Only those with this status."
)
@click.option("--cascade", "cascade_id", metavar="ID", default="", help="Only those of this cascade.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most this many."
)
@click.option("-o", "--output", type=_FORMATS, default="table", help="Form.")
def list_sessions(status: str | None, cascade_id: str, limit: int, output: str) -> None:
    """List sessions, newest first."""
    with opened_store() as store:
        page = store.sessions.list(
            limit=limit, status=Status(status) if status else None, cascade_id=cascade_id
        )
    found = [asdict(item) for item in page.items]
    if output == "json":
        print_json(found)
    elif output == "jsonl":
        for item in found:
            click.echo(as_json(item))
    elif not found:
        click.echo(
            "no sessions" + (" like that" if status or cascade_id else " yet; windlass run starts one"),
            err=True,
        )
    else:
        _print_page(page)


@sessions.command("show")
@click.argument("session_id", metavar="SESSION")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form.")
def show(session_id: str, output: str) -> None:
    """Show how a session stands: status, phases, result."""
    from windlass.runner import report_snapshot

    settings = read_settings()
    with opened_store() as store:
        report = report_snapshot(store.existing(session_id))
    if output == "json":
        print_json(report)
        return
    _print_phases(report)
    click.echo()
    print_report(report, output, home=settings.home, quiet=False)


@sessions.command("retry", short_help="Go on with a failed session.")
@click.argument("session_id", metavar="SESSION")
@click.option("-o", "--output", type=_FORMATS, default="table", help="As for windlass run.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no hints on stderr.")
def retry(session_id: str, output: str, quiet: bool) -> int:
    """Go on with a failed session, from the phase that failed (the same as windlass run --session)."""
    return drive(read_settings(), View(output=output, quiet=quiet), lambda worker: worker.run(session_id))


@sessions.command("resume-from", short_help="Run again from a phase.")
@click.argument("session_id", metavar="SESSION")
@click.argument("phase")
@click.option("-o", "--output", type=_FORMATS, default="table", help="As for windlass run.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no hints on stderr.")
def resume_from(session_id: str, phase: str, output: str, quiet: bool) -> int:
    """Run a session again from a phase that it ran before; everything after that is forgotten."""
    view = View(output=output, quiet=quiet)
    return drive(read_settings(), view, lambda worker: worker.run(session_id, restart_at=phase))


@sessions.command("cancel", short_help="End a session that is not over.")
@click.argument("session_id", metavar="SESSION")
@click.option("-o", "--output", type=_FORMATS, default="table", help="As for windlass run.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no hints on stderr.")
def cancel(session_id: str, output: str, quiet: bool) -> int:
    """End a session that is not over: what runs is stopped within a second, wherever it runs.

    windlass run --session goes on with it after all, from the phase that was stopped.
    """
    view = View(output=output, quiet=quiet)
    drive(read_settings(), view, lambda worker: worker.cancel(session_id, requested_by=getuser()))
    return 0


def _print_page(page: "Page") -> None:
    rows = [
        (
            item.session_id,
            item.cascade_id,
            str(item.status),
            item.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            item.phase,
        )
        for item in page.items
    ]
    columns = ["session_id", "cascade_id", "status", "created_at", "last_phase"]
    print_table(columns, rows, rows_max=len(rows), whole=["session_id"])
    if page.next_cursor:
        click.echo("(there are more; --limit shows them)", err=True)


def _print_phases(report: "JsonObject") -> None:
    if not report["phases"]:
        click.echo("no phase has ended yet")
        return
    rows = [
        (
            phase["name"] if phase["visit"] == 1 else f"{phase['name']} (visit {phase['visit']})",
            phase["status"],
            phase["attempts"],
            seconds(phase["duration_s"]),
            (phase["error"] or {}).get("message", "").partition("\n")[0],
        )
        for phase in report["phases"]
    ]
    print_table(["phase", "status", "attempts", "took", "error"], rows, rows_max=len(rows))
