"""`llm-proxy selftest`: every fault of an upstream, tried on a running instance.

It is a client of the service and knows nothing of its insides, except for the names of
the sandbox's models.
"""

from llm_proxy.selftest.command import selftest

__all__ = ["selftest"]
