"""Writes the turns of a conversation for the Gemini API."""

from collections.abc import Callable, Sequence
from typing import Any

from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError
from llm_proxy.types import (
    Media,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    join_text,
)
from llm_proxy.wire.free_text import write_arguments
from llm_proxy.wire.gemini.models import is_gemini_3
from llm_proxy.wire.gemini.signatures import NO_SIGNATURE, open_signature

_FILES = "https://generativelanguage.googleapis.com/v1beta/files/"
_URL_SCHEMES = ("https://", "gs://")


class TurnWriter:
    """Gathers ``contents`` and ``systemInstruction``, turn by turn.

    Args:
        model: The upstream's name of the model.

    Attributes:
        system: The parts of the system instruction.
        dropped: Names of tuning knobs that the turns have and the API has not.
    """

    def __init__(self, model: str) -> None:
        self.system: list[dict[str, Any]] = []
        self.dropped: set[str] = set()
        self._contents: list[dict[str, Any]] = []
        self._gemini_3 = is_gemini_3(model)
        self._names: dict[str, str] = {}

    def add(self, message: Message, field: str) -> None:
        """Take the next turn.

        Args:
            message: The turn.
            field: Where it stands in the request.

        Raises:
            InvalidInputError: A part of it makes no sense.
            UnsupportedFeatureError: The API or the model cannot take a part of it.
        """
        written: list[dict[str, Any]] = []
        for position, part in enumerate(message.content):
            try:
                value = self._write(part)
            except _PartError as error:
                place = f"{field}.content.{position}{error.member}"
                details = [{"field": place, "problem": error.problem}]
                raise error.kind(error.message, details=details) from None
            if value is not None:
                written.append(value)
        if message.name:
            self.dropped.add("name")
        if message.role in ("system", "developer"):
            self._add_system(written, field)
        elif written:
            self._add_content(
                "model" if message.role == "assistant" else "user", written
            )

    def contents(self) -> list[dict[str, Any]]:
        """Close the conversation.

        Returns:
            ``contents``; instructions alone are said by the user, because the API wants
            somebody to have spoken.

        Raises:
            InvalidInputError: Nobody says anything.
        """
        if not self._contents and self.system:
            self._contents = [{"role": "user", "parts": self.system}]
            self.system = []
        if not self._contents:
            raise InvalidInputError(
                "The conversation is empty",
                details=[{"field": "messages", "problem": "nobody says anything"}],
            )
        if self._gemini_3:
            _sign_calls(self._contents)
        return self._contents

    def _add_system(self, written: list[dict[str, Any]], field: str) -> None:
        if any("text" not in part for part in written):
            raise UnsupportedFeatureError(
                "Gemini takes only text as instructions",
                details=[{"field": field, "problem": "holds more than text"}],
            )
        self.system += written

    def _add_content(self, role: str, written: list[dict[str, Any]]) -> None:
        """Put neighbours of one role together: results must follow calls at once."""
        last = self._contents[-1] if self._contents else None
        if last is not None and last["role"] == role:
            last["parts"] += written
        else:
            self._contents.append({"role": role, "parts": written})

    def _write(self, part: Part) -> dict[str, Any] | None:
        if not isinstance(part, Thinking) and part.cache:
            self.dropped.add("cache")
        match part:
            case Text():
                return {"text": part.text} if part.text else None
            case Thinking():
                return _write_thinking(part)
            case ToolCall():
                self._names[part.id] = part.name
                return _write_call(part)
            case ToolResult():
                return self._write_result(part)
            case Media():
                return self._write_media(part)

    def _write_media(self, media: Media) -> dict[str, Any]:
        if media.detail not in ("", "auto"):
            self.dropped.add("detail")
        if media.data:
            return {"inlineData": _write_blob(media)}
        uri = media.url or media.file_id
        if media.file_id and not uri.startswith(_URL_SCHEMES):
            uri = _FILES + media.file_id.removeprefix("files/")
        if not uri.startswith(_URL_SCHEMES):
            raise _PartError(
                UnsupportedFeatureError,
                f"Gemini does not read a {media.kind} from this kind of URL",
                "must be an https or gs URL",
                ".url",
            )
        data = {"fileUri": uri}
        if media.media_type:
            data["mimeType"] = media.media_type
        return {"fileData": data}

    def _write_result(self, result: ToolResult) -> dict[str, Any]:
        name = self._names.get(result.call_id)
        if name is None:
            raise _PartError(
                InvalidInputError,
                "A tool result belongs to no tool call",
                "no tool call before it has this id",
                ".call_id",
            )
        text = join_text(result.content)
        response: dict[str, Any] = {
            "id": result.call_id,
            "name": name,
            "response": {"error" if result.is_error else "output": text},
        }
        media = [part for part in result.content if isinstance(part, Media)]
        if media:
            response["parts"] = self._write_result_media(media)
        return {"functionResponse": response}

    def _write_result_media(self, media: Sequence[Media]) -> list[dict[str, Any]]:
        if not self._gemini_3 or not all(each.data for each in media):
            raise _PartError(
                UnsupportedFeatureError,
                "Gemini takes media in tool results only from Gemini 3 on, and only "
                "as data",
                "holds media",
                ".content",
            )
        return [{"inlineData": _write_blob(each)} for each in media]


class _PartError(Exception):
    """A part that cannot be written; whoever knows its place tells the caller."""

    def __init__(
        self,
        kind: Callable[..., InvalidInputError],
        message: str,
        problem: str,
        member: str,
    ) -> None:
        self.kind = kind
        self.message = message
        self.problem = problem
        self.member = member
        super().__init__(message)


def _write_blob(media: Media) -> dict[str, str]:
    if not media.media_type:
        raise _PartError(
            InvalidInputError,
            f"The media type of a {media.kind} is missing",
            "is missing",
            ".media_type",
        )
    return {"mimeType": media.media_type, "data": media.data}


def _write_thinking(thinking: Thinking) -> dict[str, Any] | None:
    part: dict[str, Any] = {"text": thinking.text}
    if thinking.text:
        part["thought"] = True
    if signature := open_signature(thinking.signature):
        part["thoughtSignature"] = signature
    return part if len(part) > 1 else None


def _write_call(call: ToolCall) -> dict[str, Any]:
    args = write_arguments(call.arguments, custom=call.custom)
    part = {"functionCall": {"id": call.id, "name": call.name, "args": args}}
    return part | {"thoughtSignature": call.signature} if call.signature else part


def _sign_calls(contents: Sequence[dict[str, Any]]) -> None:
    """Give each step of the current turn the signature that Gemini 3 demands.

    The turn begins where the user last said something besides results of tools; of each
    step only the first call is looked at. What was written by another model has no
    signature, and the API names one for that case.
    """
    for content in reversed(contents):
        parts = content["parts"]
        if content["role"] == "model":
            call = next((part for part in parts if "functionCall" in part), None)
            if call is not None:
                call.setdefault("thoughtSignature", NO_SIGNATURE)
        elif not any("functionResponse" in part for part in parts):
            return
