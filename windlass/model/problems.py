"""What is wrong with a cascade, said so that a stranger can mend it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from windlass.errors import AuthorError

# Where something stands in a cascade: ("phases", 2, "retry", "backoff").
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or that this version does not run yet.

    Attributes:
        file: the file as its reader knows it.
        line, column: where, from 1; 0 when the place is unknown.
        path: the key's path, `phases[2].retry.backoff`; "" for the whole file.
        message: what is wrong.
        suggestion: what to write instead, or "".
        severity: an error keeps the cascade from loading; a warning does not.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    suggestion: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """`file:line:column: path: message; suggestion`, as compilers write it."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        what = f"{self.path}: {self.message}" if self.path else self.message
        label = "warning: " if self.severity == "warning" else ""
        return f"{place}: {label}{what}" + (f"; {self.suggestion}" if self.suggestion else "")


class CascadeInvalid(AuthorError):
    """A cascade can't be loaded; `problems` says everything that is wrong with it.

    Args:
        source: the file that was asked for.
        problems: at least one, in any order; kept sorted, the asked-for file first.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = sort_problems(problems, first=source)
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        noun = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{source} is not a valid cascade ({noun}):\n{lines}")


def sort_problems(problems: Iterable[Problem], *, first: str = "") -> list[Problem]:
    """The problems without repeats, by file (`first` before the others), line and column."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda p: (p.file != first, p.file, p.line, p.column))


def path_text(path: Sequence[str | int]) -> str:
    """A key path as people write it: `phases[2].retry.backoff`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'handoffs'?` for the known name closest to `name`, or ""."""
    import difflib  # only on the way to an error

    candidates = sorted(set(known))
    lowered = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean '{lowered[near[0]]}'?" if near else ""


def one_of(names: Iterable[str], *, most: int = 12) -> str:
    """`a, b and c` for a message; a long list is cut and says so."""
    listed = sorted(set(names))
    if not listed:
        return "(there are none)"
    if len(listed) > most:
        return ", ".join(listed[:most]) + f" and {len(listed) - most} more"
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
