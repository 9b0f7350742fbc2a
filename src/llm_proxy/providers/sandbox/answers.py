"""The answers of a well-behaved sandbox: the same question, the same answer."""

import json

from llm_proxy.providers.sandbox.dialect import Answer, Question, Tokens, cut_words
from llm_proxy.providers.sandbox.schema import example_of

_QUOTED_WORDS = 12


def answer_to(question: Question, request_id: str) -> Answer:
    """Answer with a sentence that quotes the question, or with JSON if it asks for it.

    Args:
        question: What was asked.
        request_id: Becomes the answer's id.

    Returns:
        The answer, cut to the tokens that the question allows.
    """
    if question.schema is None:
        text = f'The sandbox read: "{quote(question.text)}"'
    else:
        example = example_of(question.schema, question.text)
        text = json.dumps(example, ensure_ascii=False)
    return answer_with(cut_words(text), question, request_id)


def answer_with(pieces: tuple[str, ...], question: Question, request_id: str) -> Answer:
    """Answer with given words.

    Args:
        pieces: The answer, one token each.
        question: What was asked.
        request_id: Becomes the answer's id.

    Returns:
        The answer, cut to the tokens that the question allows.
    """
    allowed = pieces[: question.max_tokens]
    return Answer(
        id=request_id,
        model=question.model,
        pieces=allowed,
        ending="stop" if len(allowed) == len(pieces) else "length",
        tokens=Tokens(question.input_tokens, len(allowed)),
    )


def quote(text: str) -> str:
    """Quote the beginning of a text.

    Args:
        text: Any text.

    Returns:
        Its first words on one line, with an ellipsis if there are more.
    """
    words = text.split()
    beginning = " ".join(words[:_QUOTED_WORDS])
    return beginning if len(words) <= _QUOTED_WORDS else f"{beginning} …"
