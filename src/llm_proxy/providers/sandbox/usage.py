"""Models whose answer is complete, but whose usage is not what it should be."""

from dataclasses import replace

from llm_proxy.providers.sandbox.behaviour import (
    Behaviour,
    Exchange,
    Model,
    altered,
    rewritten,
)
from llm_proxy.providers.sandbox.conversation import Tokens
from llm_proxy.providers.sandbox.reply import Reply

# Stands in an answer until another value takes its place.
_COUNT = 987_654_321


def counting(value: bytes) -> Behaviour:
    """Report something else than a number of tokens.

    Args:
        value: What stands in the place of either number.

    Returns:
        The behaviour; the answer is the usual one, with usage even unasked.
    """

    def count(exchange: Exchange) -> Reply:
        asked = replace(exchange.question, include_usage=True)
        answer = replace(exchange.answer, tokens=Tokens(_COUNT, _COUNT))
        return replace(exchange, question=asked).reply(answer)

    return rewritten(count, lambda json: json.replace(b"%d" % _COUNT, value))


USAGE: dict[str, Model] = {
    "missing-usage": Model(
        "Reports no usage", altered(lambda answer: replace(answer, tokens=None))
    ),
    "negative-usage": Model(
        "Reports -1000 tokens of either kind",
        altered(lambda answer: replace(answer, tokens=Tokens(-1000, -1000))),
    ),
    "huge-usage": Model(
        "Reports 10^18 tokens of either kind",
        altered(lambda answer: replace(answer, tokens=Tokens(10**18, 10**18))),
    ),
    "float-usage": Model("Reports 12.5 tokens of either kind", counting(b"12.5")),
    "text-usage": Model("Reports the text `12` for either kind", counting(b'"12"')),
    "boolean-usage": Model("Reports `true` for either kind", counting(b"true")),
}
"""Models by name."""
