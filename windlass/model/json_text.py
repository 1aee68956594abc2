"""JSON into values that know their line; tabs are welcome, which YAML would refuse."""

import json
import math
import re
from bisect import bisect_right
from json import decoder
from typing import cast

from windlass.model.document import Builder, Malformed
from windlass.records import Json

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[A-Za-z0-9+.\-]+")
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
# Python refuses to turn longer digit strings into an int; they are identifiers anyway.
_DIGITS_MAX = 4_000


def read_json(text: str, builder: Builder) -> None:
    """Feeds the one value that `text` holds to `builder`.

    Raises:
        Malformed: the text is not JSON.
    """
    _Reader(text.removeprefix("\ufeff"), builder).read()


class _Reader:
    """Walks over the text once, without recursion; the builder's stack says what may come."""

    def __init__(self, text: str, builder: Builder) -> None:
        self._text = text
        self._builder = builder
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._at = 0
        self._open: list[str] = []  # the closing bracket of each mapping and list

    def read(self) -> None:
        """Reads value after value until the outermost is complete."""
        self._value()
        while self._open:
            self._next_item()
        self._skip()
        if self._at < len(self._text):
            raise self._malformed("there is text after the end of the JSON value")

    def _next_item(self) -> None:
        """One entry or item of the innermost mapping or list, or its end."""
        close = self._open[-1]
        char = self._skip()
        if char == close:
            self._end()
            return
        if close == "}":
            if char != '"':
                raise self._malformed("a key in double quotes should stand here")
            place = self._place()
            self._builder.key(self._string(), *place)
            if self._skip() != ":":
                raise self._malformed("a ':' is missing after the key")
            self._at += 1
        depth = len(self._open)
        self._value()
        if len(self._open) == depth:
            self._separator()

    def _separator(self) -> None:
        """A comma, or the end of as many mappings and lists as end here."""
        while self._open:
            char = self._skip()
            if char == ",":
                self._at += 1
                if self._skip() == self._open[-1]:
                    raise self._malformed("the comma before this bracket is one too many")
                return
            if char != self._open[-1]:
                raise self._malformed(f"a ',' or '{self._open[-1]}' should stand here")
            self._at += 1
            self._open.pop()
            self._builder.end()

    def _end(self) -> None:
        """An empty mapping or list ends, and so does the value it was."""
        self._at += 1
        self._open.pop()
        self._builder.end()
        self._separator()

    def _value(self) -> None:
        char = self._skip()
        line, column = self._place()
        if char in ("{", "["):
            self._at += 1
            self._open.append("}" if char == "{" else "]")
            self._builder.start({} if char == "{" else [], line, column)
        elif char == '"':
            self._builder.scalar(self._string(), line, column)
        else:
            self._builder.scalar(self._word(), line, column)

    def _string(self) -> str:
        try:
            # The stubs don't know it; it is the standard library's own, in C where it can be.
            scan = getattr(decoder, "scanstring")  # noqa: B009
            value, self._at = scan(self._text, self._at + 1, False)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise self._malformed(f"the text is not valid: {error.msg.lower()}") from None
        return cast(str, value)

    def _word(self) -> Json:
        """true, false, null or a number."""
        found = _WORD.match(self._text, self._at)
        word = found.group() if found else ""
        number = _NUMBER.fullmatch(word)
        if word not in _WORDS and not number:
            raise self._malformed(f"'{word}' is not a JSON value" if word else "a value should stand here")
        self._at += len(word)
        if not number:
            return _WORDS[word]
        if number.group(2) or number.group(3):
            value = float(word)
            return value if math.isfinite(value) else word
        return int(word) if len(word) <= _DIGITS_MAX else word

    def _skip(self) -> str:
        """Passes over white space; the character that follows, "" at the end."""
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._text[self._at : self._at + 1]

    def _place(self) -> tuple[int, int]:
        line = bisect_right(self._newlines, self._at - 1)
        start = self._newlines[line - 1] + 1 if line else 0
        return line + 1, self._at - start + 1

    def _malformed(self, message: str) -> Malformed:
        return Malformed(*self._place(), f"this is not valid JSON: {message}")
