"""The error tree, sorted by who must act.

* `AuthorError`: the cascade's author or caller must change what they wrote.
* `OperatorError`: whoever runs Windlass must change the machine or a setting.
* `TransientError`: nobody; trying again later is the cure.
* `LeaseLost`: stop at once, another worker owns the session.

Anything else that is raised is a bug of ours.
"""


class WindlassError(Exception):
    """Every error that Windlass raises on purpose.

    Args:
        message: what is wrong, one sentence, naming the thing.
        hint: what the reader can do about it; printed on a line of its own.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AuthorError(WindlassError):
    """The cascade, its input or the request is wrong; its author can mend it."""


class NotFound(AuthorError):
    """What was asked for by name (a session, a file, a version) does not exist."""


class OperatorError(WindlassError):
    """The machine, the store or a setting is wrong; whoever runs Windlass can mend it."""


class AccessDenied(OperatorError):
    """The store or server is there and does not let us in."""


class TransientError(WindlassError):
    """Something outside failed in a way that passes; the same call may be tried again."""


class StoreUnavailable(TransientError):
    """The store did not answer; nothing is known of the statement that was sent."""


class LeaseLost(WindlassError):
    """This worker no longer owns the session; it must not write or start anything more."""


class Interrupted(WindlassError):
    """The person or the machine asked this process to stop; its session can be resumed."""


class Cancelled(WindlassError):
    """The session was cancelled; it ends here.

    Args:
        message: who cancelled it.
        signal_id: the signal that asked for it, "" for none.
    """

    def __init__(self, message: str, *, hint: str = "", signal_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.signal_id = signal_id
