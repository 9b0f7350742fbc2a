"""The registry: every path at which a model of the sandbox can be asked."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from llm_proxy.providers.sandbox.answers import answer_to
from llm_proxy.providers.sandbox.anthropic import Anthropic
from llm_proxy.providers.sandbox.azure import AZURE, read_deployment_chat
from llm_proxy.providers.sandbox.bedrock import (
    BEDROCK,
    read_converse,
    read_converse_stream,
)
from llm_proxy.providers.sandbox.behaviour import Model, well_behaved
from llm_proxy.providers.sandbox.completions import read_completions
from llm_proxy.providers.sandbox.count_tokens import read_count_tokens
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.embeddings import read_embeddings
from llm_proxy.providers.sandbox.endpoint import (
    OPENAI,
    Asked,
    AskedExchange,
    ReceivedRequest,
)
from llm_proxy.providers.sandbox.gemini import (
    GEMINI,
    read_batch_embeddings,
    read_generation,
    read_streamed_generation,
)
from llm_proxy.providers.sandbox.images import (
    read_image_edit,
    read_image_generation,
    read_image_variation,
)
from llm_proxy.providers.sandbox.models import find_model
from llm_proxy.providers.sandbox.moderations import read_moderations
from llm_proxy.providers.sandbox.openai import OpenAI
from llm_proxy.providers.sandbox.reply import Reply, problem_reply
from llm_proxy.providers.sandbox.responses import (
    ResponseStore,
    read_input_tokens,
    read_response,
)
from llm_proxy.providers.sandbox.speech import read_speech
from llm_proxy.providers.sandbox.transcriptions import (
    read_transcription,
    read_translation,
)

ANTHROPIC = Anthropic()
_GEMINI_MODEL = "/v1beta/models/{model:path}"

_OWN_MODEL = Model("One that only its endpoint knows", well_behaved)
_NO_MODEL = Model(
    "None of that name",
    lambda exchange: exchange.problem(
        exchange.dialect.unknown_model(exchange.question.model)
    ),
)

Read = Callable[[ReceivedRequest], Asked | Problem]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path at which a model can be asked.

    Attributes:
        read: Reads a request as strictly as the vendor does.
        dialect: Checks credentials, and writes errors before anything is read.
    """

    read: Read
    dialect: Dialect = OPENAI


def _messages_in(dialect: OpenAI | Anthropic) -> Read:
    def read(request: ReceivedRequest) -> Asked | Problem:
        question = dialect.read(request.body)
        return question if isinstance(question, Problem) else Asked(question, dialect)

    return read


def endpoints_by_path(store: ResponseStore) -> dict[str, Endpoint]:
    """List the endpoints.

    Args:
        store: What those of responses remember.

    Returns:
        Endpoints by path.
    """
    respond = partial(read_response, store=store)
    count_input = partial(read_input_tokens, store=store)
    openai = _OPENAI | {
        "/v1/responses": Endpoint(respond),
        "/v1/responses/input_tokens": Endpoint(count_input),
    }
    azure = {
        f"/openai{path}": replace(endpoint, dialect=AZURE)
        for path, endpoint in openai.items()
    }
    return openai | azure | _OTHERS


_OPENAI: dict[str, Endpoint] = {
    "/v1/chat/completions": Endpoint(_messages_in(OPENAI)),
    "/v1/completions": Endpoint(read_completions),
    "/v1/embeddings": Endpoint(read_embeddings),
    "/v1/moderations": Endpoint(read_moderations),
    "/v1/images/generations": Endpoint(read_image_generation),
    "/v1/images/edits": Endpoint(read_image_edit),
    "/v1/images/variations": Endpoint(read_image_variation),
    "/v1/audio/speech": Endpoint(read_speech),
    "/v1/audio/transcriptions": Endpoint(read_transcription),
    "/v1/audio/translations": Endpoint(read_translation),
}
_OTHERS: dict[str, Endpoint] = {
    "/openai/deployments/{deployment:path}/chat/completions": Endpoint(
        read_deployment_chat, AZURE
    ),
    "/v1/messages": Endpoint(_messages_in(ANTHROPIC), ANTHROPIC),
    "/v1/messages/count_tokens": Endpoint(read_count_tokens, ANTHROPIC),
    f"{_GEMINI_MODEL}:generateContent": Endpoint(read_generation, GEMINI),
    f"{_GEMINI_MODEL}:streamGenerateContent": Endpoint(
        read_streamed_generation, GEMINI
    ),
    f"{_GEMINI_MODEL}:batchEmbedContents": Endpoint(read_batch_embeddings, GEMINI),
    "/model/{model:path}/converse": Endpoint(read_converse, BEDROCK),
    "/model/{model:path}/converse-stream": Endpoint(read_converse_stream, BEDROCK),
}


def ask_model(
    endpoint: Endpoint, request: ReceivedRequest, failures: Counter[str]
) -> Reply:
    """Have the model that a request names reply to it.

    Args:
        endpoint: Where the request arrived.
        request: The request.
        failures: How often which request has failed.

    Returns:
        What the model says, or why there is none.
    """
    problem = endpoint.dialect.check_credentials(request.headers)
    asked = problem or endpoint.read(request)
    if isinstance(asked, Problem):
        return problem_reply(endpoint.dialect, asked, request.id)
    question = asked.question
    name = asked.name or question.model
    found = (_OWN_MODEL, 0) if asked.knows_model else find_model(name)
    model, number = found or (_NO_MODEL, 0)
    if model.streams_only and not question.stream:
        problem = Problem(400, "This model of the sandbox needs 'stream': true.")
        return problem_reply(asked.dialect, problem, request.id)
    return model.behave(
        AskedExchange(
            dialect=asked.dialect,
            question=question,
            answer=answer_to(question, request.id),
            request_id=request.id,
            number=number,
            failures=failures,
            render=asked.render,
        )
    )
