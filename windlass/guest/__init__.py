"""Authors' code: what runs in a session's child, and the worker's side of it."""

from windlass.guest.client import Guest, GuestReply
from windlass.guest.failures import GuestFailure
from windlass.guest.inline import InlinePython

__all__ = ["Guest", "GuestFailure", "GuestReply", "InlinePython"]
