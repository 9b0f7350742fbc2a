"""The name under which the answer to a question is kept."""

import hashlib

import orjson

from llm_proxy.cache.question import Question

# Another one for each form of entry that older processes could not replay.
_FORM = 1


def cache_key(tenant: str, question: Question, policy_version: str) -> str:
    """Name the answer to a question.

    Two questions have one name if nothing but the order of JSON members tells them
    apart. 1, 1.0 and true are different, and so are a field that is null and one that
    is left out: who is wrong about that pays for an answer, and nobody gets a wrong
    one.

    Args:
        tenant: Whose answer it is; nobody else gets it.
        question: What is asked.
        policy_version: Of whatever else decides what is answered.

    Returns:
        A SHA-256 digest in hexadecimal.
    """
    # An array of JSON is unambiguous: no text can end one part and begin another.
    parts = (
        _FORM,
        tenant,
        policy_version,
        question.surface,
        question.feature,
        question.stream,
        question.targets,
        question.headers,
        question.asked,
    )
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
