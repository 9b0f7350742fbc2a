"""The registry: every model of the sandbox under the name that asks for it."""

import re

from llm_proxy.providers.sandbox.answering import ANSWERING
from llm_proxy.providers.sandbox.behaviour import Model
from llm_proxy.providers.sandbox.faults import FAULTS

MODELS: dict[str, Model] = {**ANSWERING, **FAULTS}
"""Models by name, without the number.

A ``fault-`` model never gives a complete answer; every other one does.
"""


def find_model(name: str) -> tuple[Model, int] | None:
    """Find the model that a request asks for.

    Args:
        name: A key of `MODELS`, followed by ``-N`` where the model takes a number.

    Returns:
        The model and N; None if there is no such model.
    """
    if model := MODELS.get(name):
        return model, model.number or 0
    stem, _, digits = name.rpartition("-")
    model = MODELS.get(stem)
    if model is None or model.number is None or not re.fullmatch("[0-9]{1,5}", digits):
        return None
    return model, int(digits)


def name_in_id(model_id: str) -> str:
    """Find the name of a model in an id that a vendor could have given it.

    Args:
        model_id: Such as ``us.anthropic.claude-sonnet-4-5.fault-503``.

    Returns:
        What follows the last full stop or slash.
    """
    return re.split("[./]", model_id)[-1]


def model_names() -> list[str]:
    """List the models.

    Returns:
        Names that can be asked for, with the usual number where there is one.
    """
    return [
        name if model.number is None else f"{name}-{model.number}"
        for name, model in MODELS.items()
    ]
