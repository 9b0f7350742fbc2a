"""What the name of a Gemini model tells."""

import re
from urllib.parse import quote

# Names are open-ended, so a model that is not known to be older is taken for a new one.
_BEFORE_GEMINI_3 = re.compile(r"gemini-(1|2|pro$|pro-vision|robotics-er-1)")
_TUNED = "tunedModels/"


def model_name(model: str) -> str:
    """Take a model's name out of its resource name.

    Args:
        model: ``gemini-2.5-flash`` or ``models/gemini-2.5-flash``.

    Returns:
        The name in lower case, like ``gemini-2.5-flash``.
    """
    return model.removeprefix("models/").lower()


def model_resource(model: str) -> str:
    """Write a model's resource name.

    Args:
        model: With or without ``models/``; ``tunedModels/`` stays.

    Returns:
        ``models/...`` or ``tunedModels/...``.
    """
    if model.startswith(("models/", _TUNED)):
        return model
    return f"models/{model}"


def model_path(model: str) -> str:
    """Write where a model's methods are.

    Args:
        model: As for `model_resource`.

    Returns:
        A path of exactly two segments, whatever the name contains.
    """
    collection, _, name = model_resource(model).partition("/")
    return f"/{collection}/{quote(name, safe='')}"


def is_gemini_3(model: str) -> bool:
    """Tell the third generation and what comes after it.

    These models demand signatures on function calls, take media in results of tools and
    can be given tools and a schema at once.

    Args:
        model: As for `model_resource`.

    Returns:
        Whether it is one; also for names that are not known yet.
    """
    name = model_name(model)
    return name.startswith("gemini-") and not _BEFORE_GEMINI_3.match(name)
