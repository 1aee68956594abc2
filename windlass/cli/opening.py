"""What commands open: the settings and the store."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from windlass.cli.exits import BadSetting
from windlass.errors import NotFound, OperatorError

if TYPE_CHECKING:
    from windlass.config import Settings
    from windlass.store import Snapshot, Store


def read_settings() -> "Settings":
    """The settings, with the engine's own log going to stderr as they say.

    Raises:
        BadSetting: a WINDLASS_* variable is wrong.
    """
    from windlass.config import load_settings

    try:
        settings = load_settings()
    except OperatorError as error:
        raise BadSetting(error.message, hint=error.hint) from error
    _log_to_stderr(settings.log_level)
    return settings


@contextmanager
def opened_store() -> Iterator["Store"]:
    """The store that the settings name, closed at the end.

    Raises:
        BadSetting: a WINDLASS_* variable is wrong.
        StoreUnavailable, OperatorError: it cannot be reached or used.
    """
    settings = read_settings()
    from windlass.store import open_store

    with open_store(settings) as store:
        yield store


def snapshot_of(store: "Store", session_id: str) -> "Snapshot":
    """A session with its rows and claims.

    Raises:
        NotFound: there is no such session.
    """
    snapshot = store.snapshot(session_id)
    if snapshot is None:
        raise NotFound(
            f"there is no session {session_id}", hint="windlass sessions list shows those that exist"
        )
    return snapshot


def _log_to_stderr(level: str) -> None:
    """What the engine itself says goes to stderr; what its libraries say, only at debug."""
    form = "%(levelname)s %(name)s %(message)s"
    if level == "debug":
        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, format=form)
        return
    logging.basicConfig(handlers=[logging.NullHandler()])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form))
    own = logging.getLogger("windlass")
    own.addHandler(handler)
    own.setLevel(level.upper())
    own.propagate = False
