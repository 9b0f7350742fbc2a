"""The child of `LocalServer`: a script that serves one model with llama.cpp.

It reads the key to demand from the first line of its input, writes one JSON line
(``url``, or ``error``) to its output, and serves until its input ends. It imports
nothing of the service, so that it starts at once.
"""

import http.client
import json
import os
import sys
from pathlib import Path

import xllamacpp

_MAX_THREADS = 4
_SLOTS = 2
_CONTEXT_TOKENS = 4096
# A small model may never find an end by itself.
_MAX_ANSWER_TOKENS = 512
# From the model card of SmolLM2: with llama.cpp's own 0.8 it makes things up.
_TEMPERATURE = 0.2
_TOP_P = 0.9
# Without it the model falls into loops, above all in other languages than English.
_REPEAT_PENALTY = 1.05
_HEALTH_SECONDS = 10


def main() -> None:
    """Serve the model named by the first argument until the input ends."""
    key = sys.stdin.readline().strip()
    try:
        server = xllamacpp.Server(_parameters(Path(sys.argv[1]), key))
        _check_health(server.listening_address)
    except (RuntimeError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201
        sys.exit(1)
    print(json.dumps({"url": server.listening_address}), flush=True)  # noqa: T201
    # Nobody reads the output any more: what C++ may write there must not block it.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdin.read()


def _parameters(weights: Path, key: str) -> xllamacpp.CommonParams:
    # One core stays free: the threads wait for each other in a busy loop, and a single
    # other process makes them ten times slower once it competes for a core.
    threads = min(max((os.cpu_count() or 1) - 1, 1), _MAX_THREADS)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {weights.stem}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key]
    parameters.n_parallel = _SLOTS
    parameters.n_ctx = _SLOTS * _CONTEXT_TOKENS
    parameters.n_predict = _MAX_ANSWER_TOKENS
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.sampling.temp = _TEMPERATURE
    parameters.sampling.top_p = _TOP_P
    parameters.sampling.penalty_repeat = _REPEAT_PENALTY
    parameters.cache_ram_mib = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    return parameters


def _check_health(address: str) -> None:
    connection = http.client.HTTPConnection(
        address.removeprefix("http://"), timeout=_HEALTH_SECONDS
    )
    connection.request("GET", "/health")
    status = connection.getresponse().status
    connection.close()
    if status != http.client.OK:
        raise RuntimeError(f"the health check answers {status}")


if __name__ == "__main__":
    main()
