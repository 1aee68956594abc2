"""The kinds of phases in which a model, a person or the outside world has a say."""

from typing import Any, ClassVar

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from windlass.model.llm import Audibles, TokenBudget
from windlass.model.phase import Phase, PhaseKind
from windlass.model.written import (
    Duration,
    JsonMap,
    Text,
    Texts,
    Written,
)


class LlmPhase(Phase):
    """A model with instructions and tools."""

    kind: ClassVar[PhaseKind] = PhaseKind.LLM
    instructions: Text | None = Field(
        default=None, description="What the model is to do; a template, or `@file.md`."
    )
    system: Text | None = Field(default=None, description="The system message.")
    model: str | None = Field(
        default=None, description="The model; `::high(8000)` at its end asks for reasoning."
    )
    models: Texts = Field(default=(), description="Models to fall back on, in order.")
    tackle: Texts = Field(default=(), description="Tools and cascades it may call, or `manifest`.")
    use_native_tools: bool = Field(default=True, description="Off describes the tools in the prompt.")
    token_budget: TokenBudget | None = Field(default=None, description="How long the conversation may grow.")
    images: Texts = Field(default=(), description="Pictures it sees: paths, artifacts, URLs.")
    audibles: Audibles | None = Field(default=None, description="Whether people may talk into it.")

    @model_validator(mode="after")
    def _has_instructions(self) -> "LlmPhase":
        if self.kind is PhaseKind.LLM and not self.instructions:
            raise PydanticCustomError("instructions", "'instructions' is empty", {})
        return self


class BrowserPhase(LlmPhase):
    """A browser that a model steers by the phase's instructions."""

    kind: ClassVar[PhaseKind] = PhaseKind.BROWSER
    browser: JsonMap = Field(description="The page and how it is opened: {url, …}.")

    @field_validator("browser", mode="before", json_schema_input_type=JsonMap | str)
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value


class Human(Written):
    """A question to a person."""

    shorthand: ClassVar[str] = "message"
    message: Text = Field(
        validation_alias=AliasChoices("message", "prompt"), description="What is asked; a template."
    )
    options: Texts = Field(default=(), description="Answers to choose from.")
    form: JsonMap | None = Field(
        default=None,
        validation_alias=AliasChoices("schema", "form"),
        description="JSON Schema of the answer.",
    )
    assign: Texts = Field(default=(), description="Who is asked.")
    timeout_s: Duration | None = Field(
        default=None, alias="timeout", description="How long the answer may take."
    )
    default: Any = Field(default=None, description="The answer when nobody gave one in time.")


class HumanPhase(Phase):
    """A person decides; the session waits without holding anything."""

    kind: ClassVar[PhaseKind] = PhaseKind.HUMAN
    human: Human = Field(description="The question.")


class Wait(Written):
    """Something to wait for: a time or a signal."""

    shorthand: ClassVar[str] = "for"
    for_s: Duration | str | None = Field(
        default=None, alias="for", description="How long: seconds, or '10m'."
    )
    until: str | None = Field(default=None, description="Until when; a template that gives a time.")
    signal: str | None = Field(default=None, description="The signal's name.")
    timeout_s: Duration | None = Field(
        default=None, alias="timeout", description="How long to wait for the signal."
    )
    default: Any = Field(default=None, description="The result when no signal came in time.")

    @model_validator(mode="after")
    def _waits_for_one_thing(self) -> "Wait":
        if sum(x is not None for x in (self.for_s, self.until, self.signal)) != 1:
            raise PydanticCustomError("wait", "needs exactly one of 'for', 'until', 'signal'", {})
        return self


class WaitPhase(Phase):
    """A pause, or a wait for a signal."""

    kind: ClassVar[PhaseKind] = PhaseKind.WAIT
    wait: Wait = Field(description="What for.")
