"""llm-proxy.yaml as frozen values: providers, models and guardrails."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from llm_proxy.setting_rules import check_base_url
from llm_proxy.settings import ConfigurationError
from llm_proxy.strict_yaml import MAX_BYTES, parse_yaml

DEFAULT_PATH = Path("llm-proxy.yaml")

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_NAME = re.compile(r"[^\s/]{1,64}")
_SHOWN_KEY = re.compile(r"[A-Za-z_-]{1,32}")
_REASONS = {
    "missing": "required",
    "dict_type": "must be a section of names and values",
    "mapping_type": "must be a section of names and values",
    "model_type": "must be a section of names and values",
    "tuple_type": "must be a list",
}

Variable = Callable[[str], str | None]


def _expand(value: object, info: ValidationInfo) -> object:
    variable: Variable | None = info.context
    if variable is None or not isinstance(value, str):
        return value

    def replace(reference: re.Match[str]) -> str:
        name = reference[1]
        if name is None:
            raise ValueError("'${' must be followed by the name of a variable and '}'")
        found = variable(name)
        if found is None:
            raise ValueError(f"the variable {name} is not set")
        return found

    return _REFERENCE.sub(replace, value)


def _expand_secret(value: object, info: ValidationInfo) -> object:
    literal = isinstance(value, str) and not _REFERENCE.fullmatch(value)
    if literal and info.context is not None:
        raise ValueError("keys do not belong in this file: write ${NAME}")
    return _expand(value, info)


def _check_url(url: str, info: ValidationInfo) -> str:
    check_base_url(url, info.context("ENVIRONMENT") if info.context else "")
    return url


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 characters, no '/' and no space")
    return name


def _check_model(model: str) -> str:
    provider, _, name = model.partition("/")
    if not provider or not name:
        raise ValueError("must be provider/model")
    return model


def _check_fallback(name: str) -> str:
    return _check_model(name) if "/" in name else name


def _check_not_empty(items: tuple[object, ...]) -> tuple[object, ...]:
    if not items:
        raise ValueError("must name at least one")
    return items


def _or_empty(value: object) -> object:
    return {} if value is None else value


Text = Annotated[str, BeforeValidator(_expand)]
Secret = Annotated[SecretStr, BeforeValidator(_expand_secret)]
BaseURL = Annotated[Text, AfterValidator(_check_url)]
Name = Annotated[str, AfterValidator(_check_name)]
QualifiedModel = Annotated[Text, AfterValidator(_check_model)]
Fallback = Annotated[Text, AfterValidator(_check_fallback)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NotEmpty = AfterValidator(_check_not_empty)
NullIsEmpty = BeforeValidator(_or_empty)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return _or_empty(value)


class ProviderConfig(_Section):
    """An upstream API, new or adjusted.

    Attributes:
        api: The dialect it speaks.
        base_url: Its address; None for the one that is built in.
        api_key: Its key; None for the one in the environment.
        model: The model of a request that names none.
        headers: Sent with every request; hidden, because they may hold secrets.
        api_version: The version of an Azure API whose versions are dates.
    """

    api: Literal["openai", "anthropic", "azure", "bedrock", "gemini"] = "openai"
    base_url: BaseURL | None = None
    api_key: Secret | None = None
    model: Text | None = None
    headers: Mapping[str, Text] = Field(default={}, repr=False)
    api_version: Text | None = None


class DeploymentConfig(_Section):
    """One place where a model is served.

    Attributes:
        model: The provider and its model, as ``provider/model``.
        weight: Its share of the requests, relative to its neighbours.
    """

    model: QualifiedModel
    weight: int = Field(default=1, ge=1, strict=True)


class TimeoutsConfig(_Section):
    """Bounds for one model, in seconds; None keeps the setting.

    Attributes:
        first_token: To the first piece of the answer.
        total: For all attempts and waits.
    """

    first_token: Seconds | None = None
    total: Seconds | None = None


class ModelConfig(_Section):
    """An alias: a model name of our own.

    Attributes:
        deployments: Where the model is served; at least one.
        fallbacks: What is asked next, as ``provider/model`` or another alias.
        retries: Extra attempts, 0 to 5; None keeps the setting.
        timeouts: Its own time-outs.
    """

    deployments: Annotated[tuple[DeploymentConfig, ...], NotEmpty]
    fallbacks: tuple[Fallback, ...] = ()
    retries: int | None = Field(default=None, ge=0, le=5, strict=True)
    timeouts: TimeoutsConfig = TimeoutsConfig()


class GuardrailsConfig(_Section):
    """What is checked before a prompt leaves; None keeps the setting.

    Attributes:
        pii: Whether personal data is redacted.
        injection: What happens to a prompt that looks like an injection.
    """

    pii: bool | None = Field(default=None, strict=True)
    injection: Literal["block", "flag", "off"] | None = None


class ProxyConfig(_Section):
    """The whole file.

    Attributes:
        providers: Upstream APIs by name.
        models: Aliases by name.
        guardrails: Checks of prompts.
    """

    providers: Annotated[Mapping[Name, ProviderConfig], NullIsEmpty] = {}
    models: Annotated[Mapping[Name, ModelConfig], NullIsEmpty] = {}
    guardrails: GuardrailsConfig = GuardrailsConfig()


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
        problems = list(_fallback_problems(config))
    except OSError as error:
        problems = [error.strerror or type(error).__name__]
    except ValidationError as error:
        problems = [_explain(entry) for entry in error.errors(include_url=False)]
    except ValueError as error:
        problems = [str(error)]
    if problems:
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in problems))
    return config


def _fallback_problems(config: ProxyConfig) -> Iterator[str]:
    aliases: dict[str, list[str]] = {}
    for alias, model in config.models.items():
        aliases[alias] = [name for name in model.fallbacks if name in config.models]
        for number, name in enumerate(model.fallbacks):
            if "/" not in name and name not in config.models:
                hint = _nearest(name, config.models)
                yield f"models.{alias}.fallbacks.{number}: unknown alias{hint}"
    try:
        TopologicalSorter(aliases).prepare()
    except CycleError as error:
        loop = " -> ".join(reversed(error.args[1]))
        yield f"models: the fallbacks go round in a loop: {loop}"


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
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = next(arg for arg in reversed(get_args(kind)) if arg is not ...)
    return list(kind.model_fields)
