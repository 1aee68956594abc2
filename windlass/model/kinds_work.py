"""The kinds of phases that do work by themselves: SQL, code, requests, tools, other cascades."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from windlass.model.phase import Phase, PhaseKind
from windlass.model.written import (
    Duration,
    JsonMap,
    PlainText,
    Text,
    Written,
    many,
    text_of,
)

# The keys of the data tools that hold code or a query, and may name a file with `@`.
DATA_TOOL_CODE = {"sql_data": "query", "python_data": "code", "js_data": "code", "bash_data": "script"}
_KEYED_INPUT = AliasChoices("input", "inputs", "input_map")


class SqlPhase(Phase):
    """A query over the session's scratch, or over a named connection."""

    kind: ClassVar[PhaseKind] = PhaseKind.SQL
    sql: Text = Field(
        min_length=1, description="The query, or several statements; a template, or `@file.sql`."
    )
    params: list[Any] | JsonMap | None = Field(default=None, description="Values bound to $1 … or $name.")
    connection: str | None = Field(default=None, description="A named connection instead of the scratch.")


class PythonPhase(Phase):
    """Python code; never rendered as a template."""

    kind: ClassVar[PhaseKind] = PhaseKind.PYTHON
    python: Text = Field(min_length=1, description="Code that sets `result`; or `@file.py`.")


class ShellPhase(Phase):
    """A shell script."""

    kind: ClassVar[PhaseKind] = PhaseKind.SHELL
    shell: Text = Field(
        min_length=1,
        description="The script; a template, or `@file.sh`. Write {{ x }} without quotes: values are quoted.",
    )
    env: dict[str, PlainText] = Field(default_factory=dict, description="Variables; templates are rendered.")
    stdin_table: str | None = Field(
        default=None,
        validation_alias=AliasChoices("stdin_table", "input_table"),
        description="A table that the script gets as CSV on its standard input.",
    )
    output_format: Literal["csv", "json", "jsonl", "auto", "text"] = Field(
        default="auto", description="How what it prints is read."
    )


class ScriptPhase(Phase):
    """A file with a `main(...)` in Python, TypeScript, JavaScript, Bash, Go or Rust."""

    kind: ClassVar[PhaseKind] = PhaseKind.SCRIPT
    script: str = Field(min_length=1, description="The file, relative to the cascade's.")
    inputs: JsonMap = Field(default_factory=dict, description="Arguments of `main`, by name.")
    language: str | None = Field(default=None, description="By default it is told by the file's suffix.")


class BasicAuth(Written):
    """A user and a password."""

    user: str = Field(validation_alias=AliasChoices("user", "username"), description="The user; a template.")
    password: str = Field(description="The password; a template, usually `{{ secret('…') }}`.")


class HttpAuth(Written):
    """Who the request says it is."""

    basic: BasicAuth | None = Field(default=None, description="HTTP basic: user and password.")
    bearer: str | None = Field(default=None, description="A token; a template, usually `{{ secret('…') }}`.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> "HttpAuth":
        if (self.basic is None) == (self.bearer is None):
            raise PydanticCustomError("auth", "needs either 'basic' or 'bearer'", {})
        return self


class HttpRequest(Written):
    """One request. What it retries is the phase's `retry`."""

    shorthand: ClassVar[str] = "url"
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        default="GET", description="The method."
    )
    url: str = Field(min_length=1, description="The address; a template.")
    headers: dict[str, PlainText] = Field(
        default_factory=dict, description="Headers; templates are rendered."
    )
    params: JsonMap = Field(default_factory=dict, description="The query's parameters.")
    json_body: Any = Field(default=None, alias="json", description="A value that is sent as JSON.")
    body: Text | None = Field(default=None, description="A text that is sent as it is.")
    auth: HttpAuth | None = Field(default=None, description="{basic: {user, password}} or {bearer: token}.")
    timeout_s: Duration = Field(default=30.0, alias="timeout", description="Longest wait for the next bytes.")
    expect: Annotated[tuple[int, ...], many(int)] = Field(
        default=(), description="Status codes that are a success; by default 200 to 299."
    )
    max_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1, le=1024**3, description="Largest answer that is taken."
    )
    allow_redirects: bool = Field(default=True, description="Follow redirects.")
    allow_private: bool = Field(default=False, description="Redirects may lead to private addresses.")
    response: Literal["json", "text", "bytes", "auto"] = Field(
        default="auto", description="How the answer is read."
    )

    @field_validator("method", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_one_body(self) -> "HttpRequest":
        if self.body is not None and "json_body" in self.model_fields_set:
            raise PydanticCustomError("http", "has both 'json' and 'body'; a request has one of them", {})
        return self


class HttpPhase(Phase):
    """An HTTP request."""

    kind: ClassVar[PhaseKind] = PhaseKind.HTTP
    http: HttpRequest = Field(description="The request, or just its URL.")


class ToolPhase(Phase):
    """A tool, run deterministically."""

    kind: ClassVar[PhaseKind] = PhaseKind.TOOL
    tool: str = Field(
        min_length=1, description="sql_data, python_data, bash_data, js_data or `python:mod.fn`."
    )
    inputs: JsonMap = Field(default_factory=dict, description="The tool's arguments; templates are rendered.")

    @field_validator("inputs")
    @classmethod
    def _load_code(cls, value: JsonMap, info: Any) -> JsonMap:
        key = DATA_TOOL_CODE.get(info.data.get("tool", ""))
        if key is None or not isinstance(value.get(key), str):
            return value
        return {**value, key: text_of(value[key], info)}


class CascadePhase(Phase):
    """Another cascade, as a session of its own."""

    kind: ClassVar[PhaseKind] = PhaseKind.CASCADE
    cascade: str = Field(min_length=1, description="The cascade: a file's path or a cascade_id.")
    input: JsonMap = Field(default_factory=dict, validation_alias=_KEYED_INPUT, description="Its inputs.")
    state_in: bool = Field(
        default=False,
        validation_alias=AliasChoices("state_in", "context_in"),
        description="It sees this state.",
    )
    state_out: bool = Field(
        default=False,
        validation_alias=AliasChoices("state_out", "context_out"),
        description="Its state comes back.",
    )
