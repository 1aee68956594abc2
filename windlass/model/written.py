"""What every part of a cascade is made of: the strict base model and the values people write."""

import re
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from windlass.records import Json

_T = TypeVar("_T")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
# An `@path` is one word: text that merely begins with @ ("@team: look at this") stays text.
_AT_PATH = re.compile(r"@([^\s@{}][^\s{}]*)")


class Written(BaseModel):
    """A mapping that an author writes: unknown keys are errors, keys with a leading `_` are notes.

    Attributes:
        shorthand: the key that a bare value stands for (`handoffs: [next]` is {target: next}).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, validate_default=False)
    shorthand: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if any(key.startswith("_") for key in value):
                return {key: item for key, item in value.items() if not key.startswith("_")}
            return value
        if cls.shorthand and value is not None and not isinstance(value, BaseModel):
            return {cls.shorthand: value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The model's schema, with notes allowed and the shorthand as an alternative."""
        schema = handler.resolve_ref_schema(handler(core))
        schema["patternProperties"] = {"^_": {"description": "A note for people or editors; ignored."}}
        for field in cls.model_fields.values():
            if isinstance(field.validation_alias, AliasChoices):
                _add_aliases(schema, [str(choice) for choice in field.validation_alias.choices])
        if not cls.shorthand:
            return schema
        bare = schema["properties"][cls.shorthand]
        whole = dict(schema)
        schema.clear()
        schema.update({"title": whole.pop("title", cls.__name__), "anyOf": [bare, whole]})
        return schema


def _add_aliases(schema: JsonSchemaValue, names: list[str]) -> None:
    """Lets a key be written under each of its names; pydantic's schema knows the first only."""
    usual, *others = names
    for name in others:
        schema["properties"][name] = {**schema["properties"][usual], "description": f"The same as '{usual}'."}
    if usual in schema.get("required", []):
        schema["required"] = [name for name in schema["required"] if name != usual]
        schema.setdefault("allOf", []).append({"anyOf": [{"required": [name]} for name in names]})


class TextSource(Protocol):
    """What the loader passes down as validation context: where `@path` values come from."""

    def text_at(self, name: str) -> str:
        """The text of the file `name`; raises `ValueError` saying why it can't be read."""
        ...


def at_path(text: str) -> str:
    """The file that a text names (`@prompts/classify.md`), or "" for a text that is meant as it stands."""
    found = _AT_PATH.fullmatch(text.strip())
    return found.group(1) if found else ""


def text_of(text: str, info: ValidationInfo) -> str:
    """The text itself, or the content of the file that it names with `@`."""
    name = at_path(text)
    if not name or info.context is None:
        return text
    source: TextSource = info.context
    try:
        return source.text_at(name)
    except ValueError as error:
        raise PydanticCustomError("file", "{said}", {"said": str(error)}) from None


def seconds(value: Any) -> Any:
    """A duration in seconds: a number as it is, or `500ms`, `30s`, `5m`, `1h30m`, `2d`."""
    if not isinstance(value, str):
        return value
    total, at = 0.0, 0
    while at < len(value) and (found := _DURATION.match(value, at)):
        total += float(found.group(1)) * _UNITS_S[found.group(2)]
        at = found.end()
    if at == 0 or value[at:].strip():
        try:
            return float(value)
        except ValueError:
            said = "must be a duration: seconds, or a text like '30s', '5m', '1h30m'; it is {given}"
            raise PydanticCustomError("duration", said, {"given": repr(value)}) from None
    return total


def one_or_many(value: Any) -> Any:
    """A list as it is; one value as a list of one; nothing as an empty list."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else [value]


def _plain_text(value: Any) -> Any:
    """Numbers and booleans as text, for headers and environment variables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _known_name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", value):
        return value
    said = "must be made of letters, digits, '_' and '-'; it is {given}"
    raise PydanticCustomError("name", said, {"given": repr(value)})


# Text that may stand in a file of its own: `@prompts/classify.md`.
Text: TypeAlias = Annotated[str, AfterValidator(text_of)]
# A name that appears in tables, URLs and file names.
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_known_name)]
# Seconds, written as a number or as "30s"; a year is the longest that is believed.
Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | str),
    Field(ge=0, le=366 * 86400, allow_inf_nan=False),
]
# Text where numbers are welcome.
PlainText: TypeAlias = Annotated[
    str, BeforeValidator(_plain_text, json_schema_input_type=str | int | float | bool)
]
# An expression or template that decides something, or simply true or false.
Condition: TypeAlias = str | bool
JsonMap: TypeAlias = dict[str, Json]
Texts: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(one_or_many, json_schema_input_type=str | list[str])
]


def many(item: type) -> BeforeValidator:
    """Lets one value stand for a list of it: an annotation for `tuple[item, ...]`."""
    return BeforeValidator(one_or_many, json_schema_input_type=item | list[item])  # type: ignore[valid-type]
