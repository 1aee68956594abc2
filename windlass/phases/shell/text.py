"""Values of templates in a shell script: as variables, so that no value can become code.

`echo {{ input.name }}` is run as `echo "${WINDLASS_VALUE_1}"` with that variable set. Whatever the
value holds, the shell never reads it as a command, whichever quotes stand around it: the result of
a variable is not parsed again. Quoting that fits the place is a convenience on top, decided by a
small reader of quotes; where it is wrong, a value may be split into words, but it is never run.
"""

import re
import secrets
from collections.abc import Mapping
from enum import Enum

from windlass.records import Json
from windlass.templates import TemplateError, Templates
from windlass.tools import as_text

# Linux takes 128 KiB in one variable, name included, and about 2 MiB for all of them.
_VALUE_BYTES_MAX = 120 * 1024
_VALUES_BYTES_MAX = 1024 * 1024

_HEREDOC = re.compile(r"<<-?\s*(['\"\\]?)(\w+)")


class _Place(Enum):
    """What surrounds a value in the script."""

    BARE = "bare"
    DOUBLE = "double"
    SINGLE = "single"
    HEREDOC = "heredoc"
    LITERAL = "literal"


def render_shell(templates: Templates, script: str, names: Mapping[str, Json]) -> tuple[str, dict[str, str]]:
    """`script` with variables where values were, and the variables to set.

    A value that goes through `| raw` is put into the script as it is, and runs as code.

    Raises:
        TemplateError: a template is wrong, or a value can't be a variable.
    """
    mark = f"WINDLASS-{secrets.token_hex(8)}-"
    values: dict[str, str] = {}

    def place(value: Json) -> str:
        text = as_text(value)
        if text.startswith(mark) and text.endswith(";"):
            return text
        name = f"WINDLASS_VALUE_{len(values) + 1}"
        values[name] = _checked(text)
        return f"{mark}{name};"

    text = templates.render_text(script, names, place=place)
    if sum(map(len, values.values())) > _VALUES_BYTES_MAX:
        raise TemplateError(f"the values in the script are larger than {_VALUES_BYTES_MAX // 1024} KiB")
    return _quoted(text, mark), values


def _checked(text: str) -> str:
    if "\0" in text:
        raise TemplateError("a value in a shell script can't hold a NUL character")
    if len(text.encode(errors="surrogatepass")) > _VALUE_BYTES_MAX:
        raise TemplateError(
            f"a value in a shell script is larger than {_VALUE_BYTES_MAX // 1024} KiB",
            hint="give large data to the script as a table: `stdin_table: _name`",
        )
    return text


def _quoted(text: str, mark: str) -> str:
    """The script with each mark as a variable, quoted as its place asks."""
    found = re.compile(re.escape(mark) + r"(WINDLASS_VALUE_\d+);")
    pieces: list[str] = []
    reader = _Quotes()
    end = 0
    for each in found.finditer(text):
        before = text[end : each.start()]
        place = reader.after(before)
        if place is _Place.LITERAL:
            raise TemplateError(
                "a value stands in a here-document whose word is quoted, where the shell replaces nothing",
                hint="write <<EOF without quotes around EOF, or give the value in `env`",
            )
        variable = f"${{{each[1]}}}"
        shown = {_Place.BARE: f'"{variable}"', _Place.SINGLE: f"'\"{variable}\"'"}.get(place, variable)
        pieces += (before, shown)
        end = each.end()
    return "".join(pieces) + text[end:]


class _Quotes:
    """Follows a script's quotes and here-documents, well enough to quote nicely."""

    def __init__(self) -> None:
        self._quote = ""
        self._heredoc = ""
        self._awaited = ""
        self._is_literal = False
        self._last = ""
        self._line = ""

    def after(self, text: str) -> _Place:
        """What surrounds the place after `text`, which follows the texts before."""
        skip = False
        for at, letter in enumerate(text):
            if letter == "\n":
                self._newline()
            else:
                self._line += letter
            if self._heredoc:
                continue
            if skip:
                skip = False
            elif letter == "\\" and self._quote != "'":
                skip = True
            else:
                self._read(letter, text[at:])
            self._last = letter
        if self._heredoc:
            return _Place.LITERAL if self._is_literal else _Place.HEREDOC
        return {"": _Place.BARE, '"': _Place.DOUBLE, "'": _Place.SINGLE}.get(self._quote, _Place.BARE)

    def _read(self, letter: str, rest: str) -> None:
        if self._quote == "#":
            return
        if self._quote:
            self._quote = "" if letter == self._quote else self._quote
        elif letter in "'\"":
            self._quote = letter
        elif letter == "#" and self._last in (" ", "\t", "\n", ";", ""):
            self._quote = "#"
        elif rest.startswith("<<") and self._last != "<":
            found = _HEREDOC.match(rest)
            if found:
                self._awaited, self._is_literal = found[2], bool(found[1])

    def _newline(self) -> None:
        if self._heredoc and self._line.strip() == self._heredoc:
            self._heredoc = ""
        elif self._awaited:
            self._heredoc, self._awaited = self._awaited, ""
        self._line = ""
        if self._quote == "#":
            self._quote = ""
