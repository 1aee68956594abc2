"""What a cascade says about being operated: what starts it, who is told, what tools may keep."""

from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from windlass.model.written import Duration, JsonMap, PlainText, Text, Texts, Written

_TRIGGER_TYPES = ("cron", "sensor", "webhook", "manual")


class Trigger(Written):
    """Something that starts sessions."""

    name: str | None = Field(default=None, description="Its name; by default its type.")
    type: Literal["cron", "sensor", "webhook", "manual"] = Field(description="What kind of thing starts it.")
    description: str = Field(default="", description="For people.")
    enabled: bool = Field(default=True, description="Off keeps it for later.")
    inputs: JsonMap = Field(default_factory=dict, description="The input of the sessions it starts.")
    schedule: str | None = Field(default=None, description="cron: five fields, '0 6 * * *'.")
    timezone: str = Field(default="UTC", description="cron: the time zone of the schedule.")
    check: str | None = Field(default=None, description="sensor: `python:mod.fn`, asked again and again.")
    args: JsonMap = Field(default_factory=dict, description="sensor: its arguments.")
    poll_interval: Duration | None = Field(default=None, description="sensor: how often it is asked.")
    timeout: Duration | None = Field(default=None, description="sensor: how long one check may take.")
    auth: str | None = Field(default=None, description="webhook: `hmac:SECRET` or `bearer:SECRET`.")
    preprocess: str | None = Field(default=None, description="webhook: `python:mod.fn` that makes the input.")

    @model_validator(mode="before")
    @classmethod
    def _from_type_key(cls, value: Any) -> Any:
        """`{cron: {schedule: …}}` is `{type: cron, schedule: …}`; `manual` alone is a type."""
        if isinstance(value, str):
            return {"type": value}
        if isinstance(value, dict) and "type" not in value:
            kinds = [key for key in value if key in _TRIGGER_TYPES]
            if len(kinds) == 1 and isinstance(value[kinds[0]], dict | None):
                rest = {key: item for key, item in value.items() if key != kinds[0]}
                return {**rest, **(value[kinds[0]] or {}), "type": kinds[0]}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The written forms: a type alone, keys with `type`, or a type with its keys."""
        schema = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core, handler))
        schema["required"] = []
        schema["properties"] |= {kind: {"type": ["object", "null"]} for kind in _TRIGGER_TYPES}
        whole = dict(schema)
        schema.clear()
        schema.update({"title": whole.pop("title"), "anyOf": [{"type": "string"}, whole]})
        return schema

    @model_validator(mode="after")
    def _has_its_keys(self) -> "Trigger":
        needed = {"cron": ("schedule", self.schedule), "sensor": ("check", self.check)}.get(self.type)
        if needed and needed[1] is None:
            raise PydanticCustomError(
                "trigger", "a {kind} trigger needs '{key}'", {"kind": self.type, "key": needed[0]}
            )
        return self


def triggers_as_list(value: Any) -> Any:
    """The list form of triggers that are written as a mapping: type → settings, or name → settings."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict):
        return value
    found: list[Any] = []
    for key, item in value.items():
        if key.startswith("_"):
            continue
        if key in _TRIGGER_TYPES and isinstance(item, dict | None):
            found.append({"type": key, **(item or {})})
        elif isinstance(item, dict):
            found.append({"name": key, **item})
        else:
            found.append({key: item})
    return found


class Preprocess(Written):
    """Code that makes a session's input from a trigger's payload."""

    python: Text | None = Field(default=None, description="Python that sees `payload` and sets `result`.")
    tool: str | None = Field(default=None, description="Or a tool: `python:mod.fn`.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"tool": value} if value.startswith("python:") else {"python": value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The written forms: code, `python:mod.fn`, or a mapping."""
        schema = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core, handler))
        whole = dict(schema)
        schema.clear()
        schema.update({"title": whole.pop("title"), "anyOf": [{"type": "string"}, whole]})
        return schema

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Preprocess":
        if (self.python is None) == (self.tool is None):
            raise PydanticCustomError("preprocess", "needs either 'python' or 'tool'", {})
        return self


class HttpNotice(Written):
    """A POST with the session as JSON."""

    shorthand: ClassVar[str] = "url"
    url: str = Field(min_length=1, description="Where to.")
    headers: dict[str, PlainText] = Field(
        default_factory=dict, description="Headers; templates are rendered."
    )


class SlackNotice(Written):
    """A message to Slack."""

    shorthand: ClassVar[str] = "webhook"
    webhook: str = Field(min_length=1, description="The incoming webhook's URL.")
    channel: str | None = Field(default=None, description="Another channel than its own.")
    message: str | None = Field(default=None, description="A template of the message.")


class MailNotice(Written):
    """A mail."""

    shorthand: ClassVar[str] = "to"
    to: Texts = Field(description="Addresses.")
    subject: str | None = Field(default=None, description="A template of the subject.")
    body: str | None = Field(default=None, description="A template of the text.")


class Notify(Written):
    """Who is told when a session ends or waits."""

    on: Texts = Field(default=("failed",), description="failed, completed, waiting.")
    http: HttpNotice | None = Field(default=None, description="A POST.")
    slack: SlackNotice | None = Field(default=None, description="A message to Slack.")
    smtp: MailNotice | None = Field(
        default=None, validation_alias=AliasChoices("smtp", "email"), description="A mail."
    )

    @field_validator("on")
    @classmethod
    def _known_events(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for event in value:
            if event not in ("failed", "completed", "waiting"):
                raise PydanticCustomError(
                    "event",
                    "must be among failed, completed, waiting; it has {given}",
                    {"given": repr(event)},
                )
        return value


class ToolCache(Written):
    """How long one tool's answers are kept."""

    ttl: Duration | None = Field(default=None, description="How long, in seconds or as '1h'.")
    key: str | None = Field(default=None, description="A template; equal keys share an answer.")
    enabled: bool = Field(default=True, description="Off for a tool that must always run.")


class ToolCaching(Written):
    """Whether tools' answers are kept and used again."""

    enabled: bool = Field(default=True, description="Off keeps the rest for later.")
    global_ttl: Duration | None = Field(default=None, description="How long, for tools that are not named.")
    tools: dict[str, ToolCache] = Field(default_factory=dict, description="By tool.")
