"""`windlass clickhouse`: serve an embedded folder to several processes of this machine."""

import os
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import click

from windlass.cli.exits import Exit
from windlass.cli.interrupt import stopping_on_signals
from windlass.cli.opening import read_settings


class _Signals:
    """Waits for the first signal.

    Through a pipe that Python's own handler in C writes to, in whichever thread the signal arrives: the
    engine has many, and a wait for an `Event` would not see a signal that one of them got. Nor may a handler
    set an `Event` that the same thread is waiting for: it can hold the lock inside it at that moment.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._came = False
        self._before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def set(self, reason: Exception) -> None:
        self._came = True

    def wait(self) -> None:
        while not self._came:
            self._reader.recv(1)

    def close(self) -> None:
        signal.set_wakeup_fd(self._before)
        self._reader.close()
        self._writer.close()


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
    with closing(_Signals()) as signals, stopping_on_signals(signals, is_quiet=False):
        click.echo(f"ClickHouse {holder.version} listens on {holder.address.origin}", err=True)
        click.echo(f"  export WINDLASS_CLICKHOUSE_URL={holder.address.shown}", err=True)
        signals.wait()
        is_over = holder.close()
    if not is_over:
        click.echo("a statement could not be ended; what was acknowledged is kept", err=True)
        sys.stderr.flush()
        os._exit(Exit.UNREACHABLE)  # The interpreter's own end would take the engine away under it.
    return Exit.OK
