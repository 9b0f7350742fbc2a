"""Requests that go on from an answer which the vendor has kept.

Source: the Anthropic API reference, "Create a message", ``thread``.
"""

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.wire.anthropic_messages.fields import Fields


class UnsupportedThreadError(UnsupportedFeatureError):
    """The request may hold no more than the newest messages of a conversation.

    By its code, the vendor's SDKs know that they have to send all of them.
    """

    code = "THREAD_UNSUPPORTED_REQUEST"
    default_message = (
        "Threads cannot be translated from the Anthropic dialect: send the full "
        "conversation without `thread`"
    )


def refuse_thread(body: Fields) -> None:
    """Refuse a request that is part of a thread.

    Its first one is refused too, though it has all messages: nobody could go on from
    the answer.

    Args:
        body: The caller's JSON.

    Raises:
        UnsupportedThreadError: It has a ``thread``.
    """
    if body.values.get("thread") is not None:
        problem = {"field": body.at("thread"), "problem": "Not supported here"}
        raise UnsupportedThreadError(details=[problem])
