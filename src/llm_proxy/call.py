"""What a caller asks for, whatever surface it came through."""

from dataclasses import dataclass

from llm_proxy.cache import ANYTHING, CacheControl
from llm_proxy.ledger import CacheUse
from llm_proxy.routing import Route, Trace
from llm_proxy.types import Principal, SurfaceName


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller asks for, whatever surface it came through.

    Attributes:
        principal: Who asks.
        feature: What the call is for, by its caller's word or else as `part`; for logs
            and bills.
        route: Which deployments may answer.
        trace: Takes down who was asked.
        project: What the call is for; empty for what the service is for.
        user_id: Whom the caller asks for, by the caller's own word.
        surface: The surface that it came through; None if that is nobody's business.
        part: Which part of the product is used; finer than the surface.
        cache_control: What the caller says about caches.
        cache: What the cache had to do with it; empty where nothing is cached.
    """

    principal: Principal
    feature: str
    route: Route
    trace: Trace
    project: str = ""
    user_id: str = ""
    surface: SurfaceName | None = None
    part: str = ""
    cache_control: CacheControl = ANYTHING
    cache: CacheUse = ""
