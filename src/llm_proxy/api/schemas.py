"""The bodies of the native surface."""

import re
import unicodedata
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from llm_proxy.settings import Settings
from llm_proxy.tasks import Source, TaskType, language_name

_MAX_MESSAGES = 100
# C0 and C1 controls but for tab, line feed and carriage return; then what is invisible
# and joins nothing, with which data could be hidden from the guardrails.
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff]")
_MARKS = re.compile(rb"[^\x00]{31}")


def clean_text(text: str, info: ValidationInfo) -> str:
    """Make text safe to handle: NFC, no control characters, no blank ends.

    Args:
        text: As the caller sent it.
        info: Its context is the settings, which bound the length in characters.

    Returns:
        The clean text.

    Raises:
        ValueError: Nothing is left, or too much.
    """
    settings = cast(Settings, info.context)
    limit = settings.max_prompt_length
    # Normal forms shorten text, but hardly by half; what is longer is not looked at.
    if len(text) > 2 * limit:
        raise ValueError(f"must have at most {limit} characters, has {len(text)}")
    if not text.isascii():
        # To sort a run of marks takes time by the square of its length. No language has
        # runs of more than 30 (UAX #15, "Stream-Safe Text Format").
        if _MARKS.search(bytes(map(unicodedata.combining, text))):
            raise ValueError("must not have more than 30 combining marks in a row")
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = _UNSEEN.sub("", text)
    text = text.strip()
    if not text:
        raise ValueError("must not be blank")
    if len(text) > limit:
        raise ValueError(f"must have at most {limit} characters, has {len(text)}")
    return text


Text = Annotated[str, AfterValidator(clean_text)]
Name = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
]
ModelName = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9@][A-Za-z0-9._:/@+-]*$"),
]


class _Body(BaseModel):
    """A request's body: types as in JSON, unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


class MessageBody(_Body):
    """An earlier turn of the conversation."""

    role: Literal["user", "assistant"]
    content: Text


class ChatBody(_Body):
    """A prompt for one model."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "provider": "sandbox",
                "model": "sandbox",
                "prompt": "Tell me a joke",
            }
        }
    )

    provider: Name = Field(description="A provider's name, in any case.")
    model: ModelName = Field(description="The provider's name of a model.")
    prompt: Text = Field(description="Sent as the last user message.")
    system: Text | None = Field(None, description="Instructions for the model.")
    messages: list[MessageBody] | None = Field(
        None, max_length=_MAX_MESSAGES, description="Earlier turns, oldest first."
    )
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    stream: bool | None = Field(
        None, description="Answer with server-sent events: delta …, done or error."
    )


class ExplainBody(_Body):
    """A request to explain: any body of `/chat` or `/v1/chat/completions` will do."""

    model: str = Field(description="An alias, provider/model, or a vendor's name.")
    provider: str | None = Field(None, description="As for `/chat`.")
    prompt: str | None = Field(None, description="For models chosen by complexity.")
    messages: list[dict[str, Any]] | None = Field(
        None, description="As for `/v1/chat/completions`: tells who can answer them."
    )


class WebhookBody(_Body):
    """A text and what to do with it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "prompt": "Summarize this meeting: we need to reduce hiring.",
                "source": "meeting",
                "language": "en",
                "type": "summary",
            }
        }
    )

    prompt: Text = Field(description="The text.")
    source: Source | None = Field(None, description="Where the text comes from.")
    type: TaskType | None = Field(
        None, description="What to do; without it the text says so itself."
    )
    language: str | None = Field(
        None,
        validate_default=True,
        description="ISO 639-1 code of the language to answer in, in any case.",
    )

    @field_validator("language")
    @classmethod
    def _known_language(cls, code: str | None, info: ValidationInfo) -> str | None:
        if code is None and info.data.get("type") == "translation":
            raise ValueError("is required when type is 'translation'")
        if code is not None and language_name(code) is None:
            raise ValueError("must be an ISO 639-1 code such as 'en'")
        return code and code.lower()


class UsageBody(BaseModel):
    """Tokens, and who has counted them."""

    input_tokens: int
    output_tokens: int
    source: Literal["provider", "counted", "partial", "none"]


class Meta(BaseModel):
    """What is worth knowing about an answer besides its text."""

    requestId: str  # noqa: N815 - the name that logs and errors use
    processing_time: float = Field(description="Seconds.")
    model: str = Field(description="The model that says it answered.")
    finish_reason: str
    usage: UsageBody
    cost: str | None = Field(
        description="US dollars; null if nobody knows, 0 for what was kept."
    )
    cached: bool = Field(description="Whether it was kept from an earlier call.")
    pii: list[str] = Field(description="Kinds of personal data that were found.")
    injection: list[str] = Field(description="Injection patterns that were found.")


class TaskMeta(Meta):
    """The same, of a task."""

    provider: str
    type: str
    template_version: str


class ChatAnswer(BaseModel):
    """The answer to a prompt."""

    provider: str
    model: str
    response: str
    meta: Meta


class WebhookAnswer(BaseModel):
    """The result of a task."""

    summary: str = Field(description="The result as readable text, for every type.")
    processing_time: float = Field(description="Seconds.")
    data: dict[str, Any] = Field(description="The result as typed data.")
    meta: TaskMeta


class HealthAnswer(BaseModel):
    """That the service runs."""

    status: Literal["ok"]
    version: str
    environment: str


class ReadyAnswer(BaseModel):
    """Whether the service takes work."""

    status: Literal["ready", "draining"]


class ModelBody(BaseModel):
    """A model that can be asked for."""

    id: str
    provider: str
    model: str
    default: bool = Field(description="Whether `/webhook` uses it.")


class ModelsAnswer(BaseModel):
    """The models that can be asked for."""

    data: list[ModelBody]
    meta: dict[str, Any]


class ErrorDetails(BaseModel):
    """What went wrong."""

    code: str
    message: str
    details: Any = None
    requestId: str  # noqa: N815 - the name that logs and headers use


class ErrorAnswer(BaseModel):
    """The envelope of every error."""

    error: ErrorDetails
