"""How a phase says, from anywhere inside it, that it failed."""

from windlass.errors import AuthorError


class PhaseError(AuthorError):
    """The phase failed; `run_phase` makes a `Failure` of it.

    Args:
        message, hint: as everywhere.
        kind: the failure's stable word (http, tool …).
        detail: more of it.
        retryable: False when trying again can't help.
        retry_after_s: how long the other side asks to be left alone, None where it says nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        hint: str = "",
        detail: str = "",
        retryable: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.detail = detail
        self.retryable = retryable
        self.retry_after_s = retry_after_s
