"""The canonical form of a chat request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from llm_proxy.types.parts import CacheTTL, Message, Text


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call and the caller runs.

    Attributes:
        name: Its name.
        description: What it is for.
        parameters: The JSON schema of its arguments.
        strict: Whether arguments must obey the schema; None leaves it open.
        custom: Whether it takes free text instead of JSON arguments.
        grammar: What that free text must look like, as the OpenAI API writes it.
        cache: As in `Text`.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    custom: bool = False
    grammar: Mapping[str, Any] | None = None
    cache: CacheTTL | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model has to call a tool.

    Attributes:
        mode: It may, must not, must, or must call the one that is named.
        name: That one.
    """

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The form that an answer must have.

    Attributes:
        schema: A JSON schema; None asks for any JSON object.
        name: The schema's name.
        description: What the answer is.
        strict: Whether the answer must obey the schema; None leaves it open.
        required: Whether a provider that cannot do it is the wrong one; if not, it is
            left out.
    """

    schema: Mapping[str, Any] | None = None
    name: str = "answer"
    description: str = ""
    strict: bool | None = True
    required: bool = True


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How much a model should think before it answers.

    Attributes:
        effort: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh`` or
            ``max``; empty leaves it to the provider.
        budget_tokens: The most tokens to think with.
        visible: Whether the caller wants to see the thoughts; None leaves it open.
    """

    effort: str = ""
    budget_tokens: int | None = None
    visible: bool | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The canonical form of a chat request, from which every dialect is written.

    Attributes:
        messages: The turns, oldest first.
        tools: What the model may call.
        tool_choice: Whether it has to; None leaves it to the provider.
        parallel_tool_calls: Whether it may call several at once; None leaves it open.
        response_format: The form of the answer; None is text.
        reasoning: How much to think; None leaves it to the provider.
        max_tokens: The most tokens the answer may have, thoughts included.
        temperature: Sampling temperature, 0 to 2.
        top_p: Nucleus sampling, 0 to 1.
        top_k: Sampling among that many tokens.
        stop: Texts at which the answer ends.
        seed: For answers that can be repeated.
        frequency_penalty: -2 to 2.
        presence_penalty: -2 to 2.
        logit_bias: Token ids and how much likelier they become.
        logprobs: How many alternatives to report per token, 0 to 20; None reports no
            log probabilities at all.
        user: An id of the end user, for the provider's abuse detection.
        service_tier: The provider's processing tier.
        verbosity: ``low``, ``medium`` or ``high``.
        unknown: Names of fields that only the caller's dialect knows.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None
    logprobs: int | None = None
    user: str = ""
    service_tier: str = ""
    verbosity: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """Every text that the turns are made of, in their order."""
        return [
            part.text
            for message in self.messages
            for part in message.content
            if isinstance(part, Text)
        ]

    @property
    def wants_any_json(self) -> bool:
        """Whether JSON is wanted, of no certain form.

        OpenAI demands that the prompt asks for it as well, so where a provider has no
        such mode the wish is not lost without it.
        """
        form = self.response_format
        return form is not None and form.required and form.schema is None

    def with_texts(self, texts: Sequence[str]) -> "ChatRequest":
        """Put other texts in the place of `texts`.

        Args:
            texts: As many, in the same order.

        Returns:
            The request with these texts.
        """
        if list(texts) == self.texts:
            return self
        rest = iter(texts)
        messages = tuple(
            replace(
                message,
                content=tuple(
                    replace(part, text=next(rest)) if isinstance(part, Text) else part
                    for part in message.content
                ),
            )
            for message in self.messages
        )
        return replace(self, messages=messages)
