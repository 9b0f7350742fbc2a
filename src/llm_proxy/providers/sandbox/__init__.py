"""An upstream that needs no model and misbehaves on request, on a real socket."""

from llm_proxy.providers.sandbox.app import create_sandbox
from llm_proxy.providers.sandbox.models import MODELS
from llm_proxy.providers.sandbox.protocol import SandboxProtocol
from llm_proxy.providers.sandbox.unreachable import UNREACHABLE, address_of

__all__ = [
    "MODELS",
    "UNREACHABLE",
    "SandboxProtocol",
    "address_of",
    "create_sandbox",
]
