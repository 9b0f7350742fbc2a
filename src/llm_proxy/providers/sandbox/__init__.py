"""An upstream that needs no model and misbehaves on request, on a real socket."""

from llm_proxy.providers.sandbox.app import create_sandbox
from llm_proxy.providers.sandbox.models import MODELS
from llm_proxy.providers.sandbox.protocol import SandboxProtocol

__all__ = ["MODELS", "SandboxProtocol", "create_sandbox"]
