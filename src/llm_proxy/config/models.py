"""Models of our own in llm-proxy.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from llm_proxy.config.values import (
    Fallback,
    NotEmpty,
    QualifiedModel,
    Seconds,
    Section,
    Share,
)

# The provider whose models these are, for callers of `/chat`.
ALIAS_PROVIDER = "llm-proxy"


class DeploymentConfig(Section):
    """One place where a model is served.

    Attributes:
        model: The provider and its model, as ``provider/model``.
        weight: Its share of the requests, relative to its neighbours.
        context_window: Tokens that it can read; None for what the price catalogue says.
    """

    model: QualifiedModel
    weight: int = Field(default=1, ge=1, le=1_000_000, strict=True)
    context_window: int | None = Field(default=None, ge=1, strict=True)


class TimeoutsConfig(Section):
    """Bounds for one model, in seconds; None keeps the setting.

    Attributes:
        connect: To reach the upstream.
        first_token: To the first piece of a streamed answer, or to the first byte of a
            complete one.
        idle: Between two pieces of a stream.
        total: For all attempts and waits, and for a streamed answer as a whole.
    """

    connect: Seconds | None = None
    first_token: Seconds | None = None
    idle: Seconds | None = None
    total: Seconds | None = None


class AffinityConfig(Section):
    """What keeps calls at one deployment, so that its prompt cache stays warm.

    Attributes:
        by: The end user, the conversation, or the beginning of the prompt.
        ttl: Seconds after which a session may move.
    """

    by: Literal["user", "conversation", "prefix"]
    ttl: Seconds = 3600.0


class ComplexityConfig(Section):
    """Which model answers prompts of which complexity.

    Attributes:
        simple: Below the first threshold, as ``provider/model`` or an alias.
        fast: Between the two.
        complex: From the second one on.
        thresholds: Scores from 0 to 1.
        keywords: Words that raise the score by a third.
    """

    simple: Fallback
    fast: Fallback
    complex: Fallback
    thresholds: tuple[Share, Share] = (0.3, 0.7)
    keywords: tuple[str, ...] = ("analyze", "compare", "explain in detail")

    @model_validator(mode="after")
    def _check_order(self) -> "ComplexityConfig":
        if self.thresholds[0] > self.thresholds[1]:
            raise ValueError("thresholds: the first must not exceed the second")
        return self

    @property
    def names(self) -> tuple[str, str, str]:
        """The models, the cheapest first."""
        return self.simple, self.fast, self.complex


class ModelConfig(Section):
    """An alias: a model name of our own.

    Attributes:
        deployments: Where the model is served; at least one, unless `complexity` says
            who answers.
        complexity: Chooses among other models by the prompt.
        fallbacks: What is asked next, as ``provider/model`` or another alias.
        retries: Extra attempts at the deployments, 0 to 5; None keeps the setting.
        timeouts: Its own time-outs.
        stream_recovery: What becomes of a stream that dies: ``off`` ends it with an
            error; ``buffer`` shows nothing until the answer is whole, and asks again;
            ``continue`` asks the next deployment to go on.
        hedge_after: Seconds of silence after which another deployment is asked too.
        affinity: What keeps calls at one deployment; None for nothing.
        content_filter: Whether a provider's filter ends the call or the next
            deployment is asked.
    """

    deployments: Annotated[tuple[DeploymentConfig, ...], NotEmpty] | None = None
    complexity: ComplexityConfig | None = None
    fallbacks: tuple[Fallback, ...] = ()
    retries: int | None = Field(default=None, ge=0, le=5, strict=True)
    timeouts: TimeoutsConfig = TimeoutsConfig()
    stream_recovery: Literal["off", "buffer", "continue"] = "off"
    hedge_after: Seconds | None = None
    affinity: AffinityConfig | None = None
    content_filter: Literal["stop", "fallback"] = "stop"

    @model_validator(mode="after")
    def _check_shape(self) -> "ModelConfig":
        if (self.deployments is None) == (self.complexity is None):
            raise ValueError("needs either deployments or complexity")
        if self.complexity is not None and self.model_fields_set != {"complexity"}:
            raise ValueError("complexity leaves everything else to the models it names")
        return self

    @property
    def places(self) -> dict[str, str]:
        """All the models that it names, by where: ``{"fallbacks.0": "cheap"}``."""
        deployments = {
            f"deployments.{number}.model": deployment.model
            for number, deployment in enumerate(self.deployments or ())
        }
        levels = {
            f"complexity.{level}": getattr(self.complexity, level)
            for level in ("simple", "fast", "complex")
            if self.complexity is not None
        }
        fallbacks = {
            f"fallbacks.{number}": name for number, name in enumerate(self.fallbacks)
        }
        return deployments | levels | fallbacks

    @property
    def references(self) -> tuple[str, ...]:
        """The other models that it names."""
        chosen = self.complexity.names if self.complexity is not None else ()
        return (*chosen, *self.fallbacks)
