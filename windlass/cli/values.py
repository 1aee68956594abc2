"""From `-i name=value` and `--input` to a session's input."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from windlass.records import Json, JsonObject

_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class Input:
    """What a session is given.

    Attributes:
        values: by name.
        grants: absolute paths among them that exist; the cascade may read these.
    """

    values: dict[str, Json]
    grants: tuple[str, ...]


def read_input(pairs: Sequence[str], whole: str | None, *, schema: JsonObject) -> Input:
    """The input that `-i` pairs and `--input` (JSON or @file) give; a pair wins over the object.

    Args:
        schema: the cascade's inputs_schema, a JSON Schema of an object.

    Raises:
        click.UsageError: one of them cannot be read.
    """
    properties = schema.get("properties", {})
    given = _whole(whole) if whole is not None else {}
    named: dict[str, Json] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"-i {pair}: write it as name=value, for example -i city=Seattle")
        if name in named:
            raise click.UsageError(f"-i {name} is given twice; a list is written -i '{name}=[1, 2]'")
        rule = properties.get(name, {})
        named[name] = _value(text, rule if isinstance(rule, Mapping) else {})
    return _granted(given | named)


def _value(text: str, rule: JsonObject) -> Json:
    """`text` as JSON where it is JSON of a type that the schema allows, else as text."""
    wanted = rule.get("type")
    names = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if names == ["string"]:
        return text
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
    if "string" in names and not any(_is(value, name) for name in names if name != "string"):
        return text if not isinstance(value, str) else value
    return value


def _is(value: Json, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES.get(name, ()))


def _no_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON")


def _whole(text: str) -> dict[str, Json]:
    """The object that `--input` gives: JSON, @file, or @- for stdin."""
    where = "--input"
    if text.startswith("@"):
        where = f"--input {text}"
        try:
            text = (
                sys.stdin.read()
                if text == "@-"
                else Path(os.path.expanduser(text[1:])).read_text(encoding="utf-8")
            )
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise click.UsageError(f"{where}: {reason}") from error
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        hint = ""
        if where == "--input" and not text.lstrip().startswith("{"):
            hint = '; it takes a JSON object such as \'{"city": "Seattle"}\', or @file'
        raise click.UsageError(f"{where}: this is not JSON: {error}{hint}") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{where}: it must be a JSON object ({{…}}), not {type(value).__name__}")
    return value


def _granted(values: Mapping[str, Json]) -> Input:
    """Values that name existing files become absolute paths, which the session may read."""
    made: dict[str, Json] = {}
    grants: list[str] = []
    for name, value in values.items():
        path = _existing(value) if isinstance(value, str) else None
        made[name] = value if path is None else path
        if path is not None:
            grants.append(path)
    return Input(values=made, grants=tuple(dict.fromkeys(grants)))


def _existing(text: str) -> str | None:
    """The absolute path of an existing file, or of an existing folder that is written with a slash."""
    if not text or "\0" in text or "\n" in text:
        return None
    path = Path(os.path.expanduser(text))
    try:
        # A plain word may well be the name of some folder here by chance; "data/" is meant as one.
        if path.is_file() or ("/" in text and path.is_dir()):
            return str(path.absolute())
    except (OSError, ValueError):  # a name that is too long for a file, or that no file can have
        return None
    return None
