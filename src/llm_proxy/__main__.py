"""``python -m llm_proxy`` is ``llm-proxy serve``; with arguments, ``llm-proxy``."""

import sys

from llm_proxy.cli import main

if __name__ == "__main__":
    main(sys.argv[1:] or ["serve"])
