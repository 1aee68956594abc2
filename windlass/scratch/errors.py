"""What can be wrong with the use of a scratch."""

from windlass.errors import AuthorError


class ScratchError(AuthorError):
    """A phase asked its scratch for something it must not or cannot do.

    Args:
        message: what is wrong, naming the table.
        hint: what to do instead.
        line: the 1-based line in the author's SQL, 0 where there is none.
    """

    def __init__(self, message: str, *, hint: str = "", line: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.line = line
