"""`python -m llm_proxy.providers.sandbox`: the sandbox in a process of its own."""

import argparse

import uvicorn

from llm_proxy.providers.sandbox.app import create_sandbox
from llm_proxy.providers.sandbox.protocol import SandboxProtocol


def main() -> None:
    """Serve the sandbox until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="python -m llm_proxy.providers.sandbox")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9999, help="0 takes a free one")
    arguments = parser.parse_args()
    uvicorn.run(
        create_sandbox(),
        host=arguments.host,
        port=arguments.port,
        http=SandboxProtocol,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
