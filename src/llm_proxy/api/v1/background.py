"""Responses that are made while nobody waits for them."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from llm_proxy.call import Call
from llm_proxy.drain import Drain, Work
from llm_proxy.errors import APIError, InternalError, OverloadedError
from llm_proxy.gateway import Gateway
from llm_proxy.routing import Target
from llm_proxy.telemetry import get_logger
from llm_proxy.wire import Inquiry
from llm_proxy.wire.openai_responses import begin_response, fail_response

_log = get_logger(__name__)
_MOST = 100
_MOST_OF_ONE = 25

Keep = Callable[[dict[str, Any], Target], None]


class Background:
    """Runs calls after their requests were answered.

    They live as long as the process: what has not ended when it stops has failed.

    Args:
        gateway: Answers the calls.
        drain: Cuts them when the service stops.
    """

    def __init__(self, gateway: Gateway, drain: Drain) -> None:
        self._gateway = gateway
        self._drain = drain
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def start(self, call: Call, inquiry: Inquiry, keep: Keep) -> dict[str, Any]:
        """Begin to answer.

        Args:
            call: Who asks whom.
            inquiry: What is asked.
            keep: Keeps every state of the response.

        Returns:
            The response as it is now.

        Raises:
            OverloadedError: Too many are under way, in all or for this caller.
        """
        owner = call.principal.name
        of_one = sum(name == owner for name, _ in self._tasks)
        if len(self._tasks) >= _MOST or of_one >= _MOST_OF_ONE:
            raise OverloadedError(retry_after_seconds=1.0)
        queued = begin_response(inquiry.asked, "queued")
        keep(queued, call.route.first)
        key = owner, queued["id"]
        task = asyncio.create_task(self._run(call, inquiry, keep))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return queued

    async def cancel(self, owner: str, response_id: str) -> bool:
        """Stop working on a response.

        Args:
            owner: Who asks.
            response_id: The response.

        Returns:
            Whether it was being worked on.
        """
        task = self._tasks.get((owner, response_id))
        if task is None:
            return False
        task.cancel()
        await asyncio.wait([task])
        return True

    async def aclose(self) -> None:
        """Stop all work."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _run(self, call: Call, inquiry: Inquiry, keep: Keep) -> None:
        asked, target = inquiry.asked, call.route.first

        def fail(error: APIError) -> None:
            keep(fail_response(asked, error, f"resp_{asked.id}"), target)

        try:
            keep(begin_response(asked, "in_progress"), target)
            with Work(self._drain):
                reply = await self._gateway.relay(call, inquiry)
            keep(orjson.loads(reply.answer.data), reply.target)
        except asyncio.CancelledError:
            keep(begin_response(asked, "cancelled"), target)
        except APIError as error:
            fail(error)
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            _log.error("unhandled_exception", exc_info=error)
            fail(InternalError())
