"""`windlass clickhouse`: serve an embedded folder to several processes of this machine."""

import os
import sys
import threading
from pathlib import Path

import click

from windlass.cli.exits import Exit
from windlass.cli.interrupt import stopping_on_signals
from windlass.cli.opening import read_settings

# How soon a signal is noticed at the latest; most wake the wait at once.
_LOOK_S = 0.5


class _Stop:
    """Set by the first signal."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def set(self, reason: Exception) -> None:
        self.event.set()


@click.command(short_help="Serve an embedded store to several processes.")
@click.option(
    "--path",
    type=click.Path(file_okay=False, path_type=Path),
    help="The store's folder; by default WINDLASS_CLICKHOUSE_PATH, or clickhouse in WINDLASS_ROOT.",
)
@click.option("--host", help="Where to listen; by default WINDLASS_CLICKHOUSE_HOST, or 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0 takes any free one; by default WINDLASS_CLICKHOUSE_PORT."
)
@click.option("--user", help="Who may use it; by default WINDLASS_CLICKHOUSE_USER.")
@click.option(
    "--password", help="That user's password; better in WINDLASS_CLICKHOUSE_PASSWORD, which ps does not show."
)
def clickhouse(
    path: Path | None, host: str | None, port: int | None, user: str | None, password: str | None
) -> int:
    """Serve the embedded ClickHouse over HTTP, until Ctrl-C or SIGTERM.

    Several workers on one machine share one store this way, and so do tests. It speaks ClickHouse's HTTP
    protocol: any client of that works, curl too. It is for development and tests; in production
    use a ClickHouse server.
    """
    settings = read_settings()
    from windlass.store import hold_folder

    holder = hold_folder(
        path.expanduser().absolute() if path else settings.store_folder,
        host=settings.clickhouse_host or "127.0.0.1" if host is None else host,
        port=settings.clickhouse_port if port is None else port,
        user=settings.clickhouse_user if user is None else user,
        password=settings.clickhouse_password if password is None else password,
        database=settings.clickhouse_database,
    )
    stop = _Stop()
    with stopping_on_signals(stop, is_quiet=False):
        click.echo(f"ClickHouse {holder.version} listens on {holder.address.origin}", err=True)
        click.echo(f"  export WINDLASS_CLICKHOUSE_URL={holder.address.shown}", err=True)
        while not stop.event.wait(_LOOK_S):
            # The engine's threads may be the ones to get the signal; its handler runs when this thread wakes.
            continue
        is_over = holder.close()
    if not is_over:
        click.echo("a statement could not be ended; what was acknowledged is kept", err=True)
        sys.stderr.flush()
        os._exit(Exit.UNREACHABLE)  # The interpreter's own end would take the engine away under it.
    return Exit.OK
