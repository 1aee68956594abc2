"""Text into values that know their line: YAML 1.2's core types, nothing that runs code.

Keys stay text (`on:`, `yes:`, `1:`), and so do dates, times, `yes` and `no`, `.inf` and `.nan`:
the values are exactly those that JSON can carry. What PyYAML's own loaders do (1.1 types, node
trees built by recursion) is not wanted here, so this reads the parser's events.
"""

import math
import re
from typing import Any

import yaml

from windlass.model.document import Builder, Document, Malformed
from windlass.model.json_text import read_json
from windlass.model.problems import CascadeInvalid, Problem
from windlass.records import Json

# Nobody writes a cascade of 4 MiB by hand; data belongs in files of its own.
TEXT_BYTES_MAX = 4 * 1024 * 1024
# Longer digit strings are identifiers, not numbers to calculate with.
_DIGITS_MAX = 100

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", _TAG + "str", _TAG + "timestamp"})
_VALUE_TAGS = frozenset({_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"})
_COLLECTION_TAGS = frozenset({"!", _TAG + "map", _TAG + "seq"})
_HINTS = (
    ("mapping values are not allowed", "put text that holds ': ' in quotes, or write it below a '|'"),
    ("could not find expected ':'", "is a ':' missing after the key, or a quote at the end of a text?"),
    ("expected <block end>", "check the indentation of this line and the ones above it"),
    ("did not find expected key", "check the indentation, and that quotes inside a quoted text are doubled"),
    ("did not find expected '-' indicator", "check the indentation of the list above this line"),
    ("cannot start any token", "put text that starts with this character in quotes"),
    ("unexpected end of stream", "a quote or bracket that was opened is never closed"),
    ("did not find expected ',' or", "a comma or the closing bracket is missing"),
)
_TEMPLATE_HINT = "a value that starts with '{{' must stand in quotes: \"{{ … }}\""


def read_document(text: str, *, source: str) -> Document:
    """The values of a YAML or JSON text with their places; duplicate keys are in `.problems`.

    Raises:
        CascadeInvalid: the text can't be read as either.
    """
    if len(text) > TEXT_BYTES_MAX:
        size = f"{len(text):,} characters, more than {TEXT_BYTES_MAX:,}"
        raise CascadeInvalid(
            source,
            [
                Problem(
                    source,
                    0,
                    0,
                    "",
                    f"the file has {size}",
                    "keep data in files of its own and name them under 'files'",
                )
            ],
        )
    try:
        builder = _read(text, source)
    except Malformed as error:
        problem = Problem(source, error.line, error.column, "", error.message, error.suggestion)
        raise CascadeInvalid(source, [problem]) from None
    if builder.done is None:
        raise CascadeInvalid(
            source,
            [
                Problem(
                    source, 1, 1, "", "the file is empty", "a cascade has at least 'cascade_id' and 'phases'"
                )
            ],
        )
    value, spot = builder.done
    return Document(source, value, spot, builder.problems)


def _read(text: str, source: str) -> Builder:
    """The filled builder, by content: JSON where the text is JSON, else YAML."""
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        builder = Builder(source)
        try:
            read_json(text, builder)
            return builder
        except Malformed:
            if source.endswith(".json"):
                raise  # YAML's message about a JSON file would puzzle its author
    builder = Builder(source)
    _read_yaml(text, builder)
    return builder


def _read_yaml(text: str, builder: Builder) -> None:
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(text)
    except yaml.YAMLError as error:
        raise _malformed(error, text) from None
    except UnicodeError:
        raise Malformed(1, 1, "the text holds half a character (a lone surrogate)") from None
    try:
        documents = 0
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Malformed(
                        *_place(event.start_mark),
                        "a second document starts here",
                        "a file holds one cascade: remove this '---' and what follows it",
                    )
            _feed(event, builder)
    except yaml.YAMLError as error:
        raise _malformed(error, text) from None
    finally:
        loader.dispose()


def _feed(event: Any, builder: Builder) -> None:
    """Passes one of the parser's events on to the builder."""
    line, column = _place(event.start_mark) if event.start_mark else (0, 0)
    if builder.wants_key and not isinstance(event, yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise Malformed(line, column, "a mapping or list stands where a key should be", _TEMPLATE_HINT)
        builder.key(event.value, line, column)
    elif isinstance(event, yaml.ScalarEvent):
        value = _scalar(event, line, column)
        text_line = line + 1 if event.style in ("|", ">") else line
        builder.scalar(value, line, column, text_line=text_line, anchor=event.anchor)
    elif isinstance(event, yaml.AliasEvent):
        builder.alias(str(event.anchor), line, column)
    elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            raise _unknown_tag(event.tag, line, column)
        empty: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        builder.start(empty, line, column, event.anchor)
    elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
        builder.end()


def _scalar(event: Any, line: int, column: int) -> Json:
    """A scalar's value: by its tag, else by how a plain one looks."""
    text: str = event.value
    tag = event.tag
    if tag is None:
        return text if event.style not in (None, "") else _plain(text)
    if tag in _TEXT_TAGS:
        return text
    if tag in _VALUE_TAGS:
        return _plain(text)
    raise _unknown_tag(tag, line, column)


def _plain(text: str) -> Json:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) <= _DIGITS_MAX:
        if _INTEGER.fullmatch(text):
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if math.isfinite(number) else text
    return text


def _place(mark: Any) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _unknown_tag(tag: str, line: int, column: int) -> Malformed:
    shown = tag.replace(_TAG, "!!")
    return Malformed(
        line, column, f"the tag {shown} is not known here", "write the plain value without a tag"
    )


def _malformed(error: yaml.YAMLError, text: str) -> Malformed:
    """PyYAML's complaint with its place and, where one is known, the usual cure."""
    if not isinstance(error, yaml.MarkedYAMLError):
        at = getattr(error, "position", 0)
        line = text.count("\n", 0, at) + 1
        return Malformed(
            line, at - text.rfind("\n", 0, at), f"this is not valid YAML: {str(error).splitlines()[0]}"
        )
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.problem, error.context) if part) or str(error)
    hint = next((hint for words, hint in _HINTS if words in said), "")
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        hint = "indent with spaces, not tabs"
    line, column = _place(mark) if mark else (0, 0)
    return Malformed(line, column, f"this is not valid YAML: {said}", hint)
