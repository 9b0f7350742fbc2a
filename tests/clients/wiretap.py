"""What goes over the wire on both sides of the service."""

import json

import httpx2


class Wiretap:
    """Remembers the latest request and response of a client.

    Attributes:
        hooks: For the client, as its ``event_hooks``.
        sent: The body of the latest request.
        status: The status of the latest response.
        headers: The headers of the latest response.
    """

    def __init__(self) -> None:
        self.hooks = {"request": [self._request], "response": [self._response]}
        self.sent = b""
        self.status = 0
        self.headers = httpx2.Headers()

    @property
    def dropped(self) -> set[str]:
        """What the service says it has left out."""
        names = self.headers.get("x-llm-proxy-dropped", "")
        return set(filter(None, names.split(", ")))

    def _request(self, request: httpx2.Request) -> None:
        self.sent = request.read()

    def _response(self, response: httpx2.Response) -> None:
        self.status, self.headers = response.status_code, response.headers


class Sandbox:
    """The upstream behind all providers, and what it knows of its callers.

    Args:
        client: Talks to it.
    """

    def __init__(self, client: httpx2.Client) -> None:
        self.url = str(client.base_url).rstrip("/")
        self._client = client

    def received(self) -> dict:
        """The latest request."""
        return self._client.get("/_sandbox/requests").json()[-1]

    def body(self) -> dict:
        """The JSON of the latest request."""
        return json.loads(self.received()["body"])

    def stats(self) -> dict[str, int]:
        """How many requests there were, are, and how many were given up."""
        return self._client.get("/_sandbox/stats").json()
