"""Routes of the models that the operator has made up in llm-proxy.yaml."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from llm_proxy.config import ALIAS_PROVIDER, ModelConfig, TimeoutsConfig
from llm_proxy.routing.complexity import score
from llm_proxy.routing.route import Deployment, Route, Target, Tier
from llm_proxy.types import Timeouts

Text = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Patience:
    """What the settings grant every call of one kind.

    Attributes:
        retries: As in `Route`.
        deadline_seconds: As in `Route`.
        timeouts: As in `Route`.
    """

    retries: int
    deadline_seconds: float
    timeouts: Timeouts

    def route(self, *tiers: Tier) -> Route:
        """Make a route to deployments of which nothing else is said.

        Args:
            *tiers: The deployments.

        Returns:
            The route.
        """
        return Route(tiers, self.retries, self.deadline_seconds, self.timeouts)


class Aliases:
    """The models of llm-proxy.yaml.

    Args:
        models: Them, by name.
    """

    def __init__(self, models: Mapping[str, ModelConfig]) -> None:
        self._models = models
        # Aliases are few and routes never change.
        self._routes: dict[tuple[str, Patience], Route] = {}

    def find(self, name: str) -> str | None:
        """Find the alias that a name stands for.

        Args:
            name: The alias, with ``llm-proxy/`` before it or not.

        Returns:
            The alias; None if there is none.
        """
        if name in self._models:
            return name
        surface, _, alias = name.partition("/")
        if alias in self._models and surface.lower() == ALIAS_PROVIDER:
            return alias
        return None

    def route(self, alias: str, patience: Patience, prompt: Text) -> Route:
        """Find where calls for an alias go.

        Args:
            alias: The alias.
            patience: What the settings grant.
            prompt: Reads what is asked, for models chosen by complexity.

        Returns:
            The route.
        """
        key = alias, patience
        route = self._routes.get(key)
        if route is not None:
            return route
        complexity = self._models[alias].complexity
        if complexity is None:
            route = self._route(self._models[alias], patience)
            route = self._routes[key] = replace(route, names=_names(alias))
            return route
        found = score(prompt(), complexity.keywords)
        level = found.level(complexity.thresholds)
        name: str = getattr(complexity, level)
        reason = f"{alias}: complexity {found.score:.3f} is {level}: {name}"
        route = self.named(name, patience, prompt)
        return replace(route, reason=reason, names=_names(alias))

    def named(self, name: str, patience: Patience, prompt: Text) -> Route:
        """Find where calls go for what another model names.

        Args:
            name: An alias, or ``provider/model``.
            patience: What the settings grant.
            prompt: As for `route`.

        Returns:
            The route.
        """
        if name in self._models:
            return self.route(name, patience, prompt)
        return patience.route((_deployment(name),))

    def _route(self, model: ModelConfig, patience: Patience) -> Route:
        total = model.timeouts.total
        return Route(
            tiers=tuple(self._tiers(model)),
            retries=patience.retries if model.retries is None else model.retries,
            deadline_seconds=total or patience.deadline_seconds,
            timeouts=patience.timeouts | _own(model.timeouts),
            total_seconds=total,
            stream_recovery=model.stream_recovery,
            hedge_after=model.hedge_after,
            reroutes_filtered=model.content_filter == "fallback",
            affinity=model.affinity,
        )

    def _tiers(self, model: ModelConfig) -> Iterator[Tier]:
        """List the deployments, then those of the fallbacks and of their fallbacks."""
        if model.deployments is not None:
            yield tuple(
                Deployment(_target(each.model), each.weight, each.context_window)
                for each in model.deployments
            )
        # A fallback that chooses by complexity is asked from its best model down.
        for name in (*reversed(_chosen(model)), *model.fallbacks):
            if name in self._models:
                yield from self._tiers(self._models[name])
            else:
                yield (_deployment(name),)


def _names(alias: str) -> tuple[str, ...]:
    return alias, f"{ALIAS_PROVIDER}/{alias}"


def _chosen(model: ModelConfig) -> tuple[str, ...]:
    return model.complexity.names if model.complexity is not None else ()


def _own(timeouts: TimeoutsConfig) -> Timeouts:
    return Timeouts(timeouts.connect, timeouts.first_token, timeouts.idle)


def _deployment(name: str) -> Deployment:
    return Deployment(_target(name))


def _target(name: str) -> Target:
    provider, _, model = name.partition("/")
    return Target(provider.lower(), model)
