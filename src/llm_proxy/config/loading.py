"""llm-proxy.yaml as frozen values: providers, models, prices and limits."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from llm_proxy.config.limits import LimitsConfig
from llm_proxy.config.models import ALIAS_PROVIDER, ModelConfig
from llm_proxy.config.prices import PriceConfig, PricedModels
from llm_proxy.config.providers import ProviderConfig
from llm_proxy.config.values import Name, NullIsEmpty, Section, Variable
from llm_proxy.settings import ConfigurationError
from llm_proxy.strict_yaml import MAX_BYTES, parse_yaml

DEFAULT_PATH = Path("llm-proxy.yaml")

_SHOWN_KEY = re.compile(r"[A-Za-z_-]{1,32}")
_REASONS = {
    "missing": "required",
    "dict_type": "must be a section of names and values",
    "mapping_type": "must be a section of names and values",
    "model_type": "must be a section of names and values",
    "tuple_type": "must be a list",
}


class GuardrailsConfig(Section):
    """What is checked before a prompt leaves; None keeps the setting.

    Attributes:
        pii: Whether personal data is redacted.
        injection: What happens to a prompt that looks like an injection.
    """

    pii: bool | None = Field(default=None, strict=True)
    injection: Literal["block", "flag", "off"] | None = None


class ProxyConfig(Section):
    """The whole file.

    Attributes:
        providers: Upstream APIs by name.
        models: Aliases by name.
        guardrails: Checks of prompts.
        prices: What models cost, where the operator knows better than the price
            catalogue, as ``provider/model``, which may end in ``*``.
        unknown_price: What becomes of a call whose price nobody knows: ``zero`` counts
            it as free and marks it, ``refuse`` does not make it.
        limits: How much users, teams, organisations and models may use.
    """

    providers: Annotated[Mapping[Name, ProviderConfig], NullIsEmpty] = {}
    models: Annotated[Mapping[Name, ModelConfig], NullIsEmpty] = {}
    guardrails: GuardrailsConfig = GuardrailsConfig()
    prices: Annotated[Mapping[PricedModels, PriceConfig], NullIsEmpty] = {}
    unknown_price: Literal["zero", "refuse"] = "zero"
    limits: LimitsConfig = LimitsConfig()


def load_config(path: Path | None, variable: Variable) -> ProxyConfig:
    """Read llm-proxy.yaml.

    Args:
        path: The file; None for the one in the working directory, if it exists.
        variable: Looks up ``${NAME}`` and ``ENVIRONMENT``.

    Returns:
        The configuration; empty without a file.

    Raises:
        ConfigurationError: One line per problem: the file, the place and the reason.
    """
    if path is None and not DEFAULT_PATH.exists():
        return ProxyConfig()
    path = path or DEFAULT_PATH
    try:
        with path.open("rb") as file:
            document = parse_yaml(file.read(MAX_BYTES + 1))
        config = ProxyConfig.model_validate(document, context=variable)
        problems = list(_problems(config))
    except OSError as error:
        problems = [error.strerror or type(error).__name__]
    except ValidationError as error:
        problems = [_explain(entry) for entry in error.errors(include_url=False)]
    except ValueError as error:
        problems = [str(error)]
    if problems:
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in problems))
    return config


def _problems(config: ProxyConfig) -> Iterator[str]:
    if any(name.lower() == ALIAS_PROVIDER for name in config.providers):
        yield f"providers.{ALIAS_PROVIDER}: the name stands for the models of this file"
    aliases: dict[str, list[str]] = {}
    for alias, model in config.models.items():
        aliases[alias] = [name for name in model.references if name in config.models]
        for place, name in model.places.items():
            if "/" not in name and name not in config.models:
                hint = _nearest(name, config.models)
                yield f"models.{alias}.{place}: unknown alias {name!r}{hint}"
    try:
        TopologicalSorter(aliases).prepare()
    except CycleError as error:
        loop = " -> ".join(reversed(error.args[1]))
        yield f"models: the fallbacks go round in a loop: {loop}"
    yield from _priced_twice(config.prices)


def _priced_twice(names: Iterable[str]) -> Iterator[str]:
    """Find names that differ in case alone, which does not matter for prices."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            yield f"prices.{name}: stands twice, in another case"
        seen.add(name.lower())


def _explain(entry: ErrorDetails) -> str:
    location, kind = entry["loc"], entry["type"]
    if kind == "extra_forbidden":
        *section, key = location
        hint = _nearest(str(key), _keys_of(section))
        shown = location if _SHOWN_KEY.fullmatch(str(key)) else section
        return f"{_dotted(shown)}unknown key{hint}"
    reason = _REASONS.get(kind, entry["msg"].removeprefix("Value error, "))
    return f"{_dotted(location)}{reason}"


def _dotted(location: Iterable[str | int]) -> str:
    parts = [str(part) for part in location if part != "[key]"]
    return ".".join(parts) + ": " if parts else ""


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def _keys_of(location: Iterable[str | int]) -> list[str]:
    kind: Any = ProxyConfig
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _bare(kind.model_fields[str(part)].annotation)
        else:
            kind = _bare(next(arg for arg in get_args(kind)[::-1] if arg is not ...))
    return list(kind.model_fields)


def _bare(kind: Any) -> Any:  # noqa: ANN401 - types have no common type
    """Take off what surrounds a type: its rules, and that there may be none."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = get_args(kind)[0]
    return kind
