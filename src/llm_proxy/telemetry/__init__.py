"""What the service tells its operators: logs and metrics."""

from llm_proxy.telemetry.logs import (
    LogConfig,
    configure_logging,
    get_logger,
    request_context,
    settle_logging,
)
from llm_proxy.telemetry.metrics import CONTENT_TYPE, Metrics

__all__ = [
    "CONTENT_TYPE",
    "LogConfig",
    "Metrics",
    "configure_logging",
    "get_logger",
    "request_context",
    "settle_logging",
]
