"""Named SQL: the blocks of a `.sql` file that stands beside its repository.

A block starts with `-- name: x` and has a comment that says what it is for. Values are bound by
the store as `{name:Type}`; no value is ever spliced into the text.
"""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def load_queries(stem: str) -> dict[str, str]:
    """The statements of `windlass/store/<stem>.sql` by name, without their comments.

    Raises:
        ValueError: a name stands there twice.
    """
    text = files("windlass.store").joinpath(f"{stem}.sql").read_text(encoding="utf-8")
    pieces = _NAME.split(text)
    found: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in found:
            raise ValueError(f"{stem}.sql names {name} twice")
        lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
        found[name] = "\n".join(lines).strip().rstrip(";")
    return found
