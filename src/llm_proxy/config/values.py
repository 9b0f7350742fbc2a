"""What the values of llm-proxy.yaml have to look like."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    model_validator,
)

from llm_proxy.setting_rules import check_base_url

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_NAME = re.compile(r"[^\s/]{1,64}")

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
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NotEmpty = AfterValidator(_check_not_empty)
NullIsEmpty = BeforeValidator(_or_empty)


class Section(BaseModel):
    """A section with known keys; an empty one may be left out or null."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return _or_empty(value)
