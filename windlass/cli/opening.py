"""What commands open: the settings and the store."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from windlass.cli.exits import BadSetting
from windlass.errors import OperatorError

if TYPE_CHECKING:
    from windlass.config import Settings
    from windlass.store import Store


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
