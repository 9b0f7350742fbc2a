"""Pages for people."""

from llm_proxy.web.docs import install_docs

__all__ = ["install_docs"]
