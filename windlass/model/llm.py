"""What can be said about phases that talk to models: context, rules, validators, soundings."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, Field, model_validator
from pydantic_core import PydanticCustomError

from windlass.model.written import Duration, JsonMap, Text, Texts, Written, many

# A number, or a template that gives one.
Count: TypeAlias = int | str
# Keys whose shape is settled by the issue that builds them; kept as they are written.
Open: TypeAlias = bool | str | list[Any] | JsonMap


class ContextSource(Written):
    """One source of a phase's context: a phase's name, or previous, first, all."""

    shorthand: ClassVar[str] = "phase"
    phase: str = Field(description="previous, first, all, or a phase's name.")
    include: Texts = Field(default=(), description="images, output, messages, state.")
    messages_filter: str | None = Field(default=None, description="Which of its messages.")
    as_role: str | None = Field(default=None, description="The role under which they are shown.")
    condition: str | None = Field(default=None, description="Use this source only when this holds.")


class Context(Written):
    """What a phase sees of earlier phases; nothing by default."""

    shorthand: ClassVar[str] = "from"
    sources: Annotated[tuple[ContextSource, ...], many(ContextSource)] = Field(
        default=(), alias="from", description="previous, first, all, or names of phases."
    )
    include: Texts = Field(default=(), description="images, output, messages, state.")
    exclude: Texts = Field(default=(), description="Phases that are left out.")
    include_input: bool = Field(default=True, description="Show the session's input.")


class LoopUntil(Written):
    """A validator written inline, in exactly one language."""

    python: Text | None = Field(default=None, description="Python that sets `result` to {valid, reason}.")
    javascript: Text | None = Field(default=None, description="JavaScript that does so.")
    sql: Text | None = Field(default=None, description="A query that gives one row (valid, reason).")
    bash: Text | None = Field(default=None, description="A script whose exit code 0 means valid.")

    @model_validator(mode="after")
    def _has_one_language(self) -> "LoopUntil":
        if sum(text is not None for text in (self.python, self.javascript, self.sql, self.bash)) != 1:
            raise PydanticCustomError("loop_until", "needs exactly one of python, javascript, sql, bash", {})
        return self


class Rules(Written):
    """Limits of an LLM phase's turns and attempts."""

    max_turns: int | None = Field(
        default=None, ge=1, le=1000, description="Most turns; a turn is a call and its tools."
    )
    max_attempts: int | None = Field(
        default=None, ge=1, le=1000, description="Most attempts, the first included."
    )
    loop_until: str | LoopUntil | None = Field(default=None, description="A validator that must be content.")
    loop_until_prompt: Text | None = Field(
        default=None, description="What the model is told of the validator."
    )
    loop_until_silent: bool = Field(default=False, description="Don't tell the model of the validator.")
    retry_instructions: Text | None = Field(default=None, description="What is said before another attempt.")
    turn_prompt: Text | None = Field(default=None, description="What is said before turns 2, 3 …")


class Ward(Written):
    """A validator before, after or during a phase."""

    shorthand: ClassVar[str] = "validator"
    validator: str = Field(description="A tool or cascade that returns {valid, reason}.")
    mode: Literal["blocking", "retry", "advisory"] = Field(
        default="blocking", description="What its refusal means."
    )
    max_attempts: int | None = Field(
        default=None, ge=1, le=1000, description="Most attempts in the mode retry."
    )


class Wards(Written):
    """Validators of a phase."""

    pre: Annotated[tuple[Ward, ...], many(Ward)] = Field(default=(), description="Before the phase.")
    post: Annotated[tuple[Ward, ...], many(Ward)] = Field(default=(), description="After it.")
    turn: Annotated[tuple[Ward, ...], many(Ward)] = Field(default=(), description="After each turn.")


class Validator(Written):
    """A validator that the cascade defines for its own phases."""

    instructions: Text = Field(description="What the model checks; it answers {valid, reason}.")
    model: str | None = Field(default=None, description="Which model checks.")


class Reforge(Written):
    """Refinement of the winner of soundings."""

    steps: int = Field(default=1, ge=1, le=100, description="How many refinements.")
    honing_prompt: Text | None = Field(default=None, description="What is asked for in each.")
    factor_per_step: Count = Field(default=2, description="Attempts per refinement.")
    mutate: bool = Field(default=False, description="Vary the prompt.")
    evaluator_override: Text | None = Field(default=None, description="Instructions for this evaluator.")
    threshold: Open | float | None = Field(default=None, description="Stop refining when this is reached.")


class Soundings(Written):
    """Parallel attempts of which an evaluator takes one, or makes one."""

    shorthand: ClassVar[str] = "factor"
    factor: Count = Field(default=1, description="How many attempts; may be a template.")
    evaluator: Literal["llm", "human", "hybrid"] = Field(default="llm", description="Who judges.")
    evaluator_instructions: Text | None = Field(default=None, description="How the attempts are judged.")
    models: list[str] | JsonMap | None = Field(default=None, description="Models, one per attempt.")
    model_strategy: str | None = Field(default=None, description="How models are dealt to attempts.")
    mutate: bool = Field(default=False, description="Vary the prompt.")
    mutation_mode: Literal["rewrite", "augment", "approach"] = Field(
        default="rewrite", description="How it is varied."
    )
    mutations: list[Text] | None = Field(default=None, description="Variations to use.")
    mode: Literal["evaluate", "aggregate"] = Field(
        default="evaluate", description="Take the best, or join them."
    )
    aggregator_instructions: Text | None = Field(default=None, description="How they are joined.")
    max_parallel: int = Field(default=3, ge=1, le=100, description="How many run at once.")
    validator: str | None = Field(default=None, description="A validator that sorts out attempts first.")
    cost_aware_evaluation: Open | None = Field(default=None, description="Weigh cost against quality.")
    pareto_frontier: Open | None = Field(default=None, description="Keep the attempts that nothing beats.")
    reforge: Reforge | None = Field(default=None, description="Refine the winner.")


class TokenBudget(Written):
    """What happens when a conversation grows too long."""

    shorthand: ClassVar[str] = "max_total"
    max_total: int = Field(ge=1, description="Most tokens.")
    reserve_for_output: int = Field(default=0, ge=0, description="Tokens kept for the answer.")
    strategy: Literal["sliding_window", "prune_oldest", "summarize", "fail"] = Field(
        default="sliding_window", description="What gives way."
    )
    warning_threshold: float = Field(
        default=0.8, ge=0, le=1, description="Part of the budget at which to warn."
    )


class OutputExtraction(Written):
    """A part of the answer that is kept by itself."""

    pattern: str = Field(description="A regular expression.")
    store_as: str = Field(description="The state's key that it is kept under.")
    required: bool = Field(default=False, description="Fail when it isn't found.")
    format: str = Field(default="text", description="How it is read: text, json …")


class Audibles(Written):
    """Whether people may talk into a running phase."""

    budget: int = Field(default=3, ge=0, description="How often.")
    allow_retry: bool = Field(default=True, description="May an audible start the phase again?")
    timeout_s: Duration | None = Field(
        default=None,
        validation_alias=AliasChoices("timeout_seconds", "timeout", "timeout_s"),
        description="How long to wait for one.",
    )
