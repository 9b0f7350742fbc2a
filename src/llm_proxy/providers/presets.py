"""Every upstream we know, one row each; a new compatible one is a new row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_proxy.providers.local_server import LocalServer
from llm_proxy.providers.loopback import LoopbackServer, SandboxServer
from llm_proxy.wire import (
    EXTENSIONS,
    AnthropicMessages,
    BedrockConverse,
    Dialect,
    Gemini,
    OpenAIChat,
    OpenAICompletions,
    OpenAIResponses,
    RelayDialect,
)

OPENAI = OpenAIChat()
OPENAI_WITH_SCHEMA = OpenAIChat(json_schema=True)
# OpenAI itself: it has renamed a field and a role that others know by their old names.
OPENAI_PROPER = OpenAIChat(
    max_tokens_field="max_completion_tokens", developer_role=True, custom_tools=True
)
COMPLETIONS = (OpenAICompletions(),)
# What these take besides, or refuse, of what OpenAI has.
DEEPSEEK = OpenAIChat(lacks=EXTENSIONS - {"thinking"}, text_lists=False)
OPENROUTER = OpenAIChat(lacks=frozenset())
VLLM = OpenAIChat(lacks=EXTENSIONS - {"top_k", "thinking"})
MISTRAL = OpenAIChat(
    lacks=EXTENSIONS
    | {"logit_bias", "logprobs", "seed", "service_tier", "user", "verbosity"}
)


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of an upstream before the operator says anything.

    Attributes:
        base_url: Where the dialect's paths begin; empty when only the operator, or the
            `server`, knows.
        keys: Variables that may hold the key, the first is the one to name in errors;
            none means that no key is needed.
        optional_keys: Variables that may hold a key where none is needed.
        model: The model used when nobody names one.
        dialect: What it speaks.
        also: What else it speaks, for callers who speak it too.
        urls: Variables besides ``{NAME}_BASE_URL`` that may hold the base URL.
        server: Makes the upstream of our own that stands behind the provider, from the
            path of the operator's model file.
        for_development: Not offered in staging and production.
        dated: Whether its API may have versions that are dates.
        versions: Variables that may hold such a date.
    """

    base_url: str = ""
    keys: tuple[str, ...] = ()
    model: str | None = None
    dialect: Dialect = OPENAI
    also: tuple[RelayDialect, ...] = COMPLETIONS
    urls: tuple[str, ...] = ()
    server: Callable[[Path | None], LoopbackServer] | None = None
    for_development: bool = False
    optional_keys: tuple[str, ...] = ()
    dated: bool = False
    versions: tuple[str, ...] = ()


PRESETS: Mapping[str, Preset] = {
    "openai": Preset(
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-4",
        OPENAI_PROPER,
        (OpenAIResponses(), *COMPLETIONS),
    ),
    "anthropic": Preset(
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        "claude-sonnet-4-5",
        AnthropicMessages(),
        (),
    ),
    "gemini": Preset(
        "https://generativelanguage.googleapis.com/v1beta",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-2.5-flash",
        Gemini(),
        (),
    ),
    "azure": Preset(
        keys=("AZURE_OPENAI_API_KEY",),
        dialect=OPENAI_PROPER,
        also=(OpenAIResponses(),),
        urls=("AZURE_OPENAI_ENDPOINT",),
        dated=True,
        versions=("AZURE_OPENAI_API_VERSION",),
    ),
    "bedrock": Preset(
        dialect=BedrockConverse(),
        also=(),
        optional_keys=("AWS_BEARER_TOKEN_BEDROCK",),
    ),
    "mistral": Preset(
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-small-latest",
        MISTRAL,
    ),
    "groq": Preset(
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        "llama-3.3-70b-versatile",
    ),
    "deepseek": Preset(
        "https://api.deepseek.com", ("DEEPSEEK_API_KEY",), "deepseek-chat", DEEPSEEK
    ),
    "together": Preset("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    "fireworks": Preset(
        "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)
    ),
    "openrouter": Preset(
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        "openrouter/auto",
        OPENROUTER,
    ),
    "xai": Preset("https://api.x.ai/v1", ("XAI_API_KEY",)),
    "perplexity": Preset("https://api.perplexity.ai", ("PERPLEXITY_API_KEY",)),
    "cerebras": Preset("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "sambanova": Preset("https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    "deepinfra": Preset("https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    "nebius": Preset("https://api.studio.nebius.ai/v1", ("NEBIUS_API_KEY",)),
    "moonshot": Preset("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
    "zai": Preset("https://api.z.ai/api/paas/v4", ("ZAI_API_KEY",)),
    "dashscope": Preset(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY",),
    ),
    "minimax": Preset("https://api.minimax.io/v1", ("MINIMAX_API_KEY",)),
    "github": Preset("https://models.github.ai/inference", ("GITHUB_TOKEN",)),
    "huggingface": Preset("https://router.huggingface.co/v1", ("HF_TOKEN",)),
    "cohere": Preset("https://api.cohere.ai/compatibility/v1", ("COHERE_API_KEY",)),
    "hyperbolic": Preset("https://api.hyperbolic.xyz/v1", ("HYPERBOLIC_API_KEY",)),
    "novita": Preset("https://api.novita.ai/v3/openai", ("NOVITA_API_KEY",)),
    "siliconflow": Preset("https://api.siliconflow.cn/v1", ("SILICONFLOW_API_KEY",)),
    "nvidia": Preset("https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",)),
    "ollama": Preset(
        "http://localhost:11434/v1",
        dialect=OPENAI_WITH_SCHEMA,
        urls=("OLLAMA_HOST",),
    ),
    "vllm": Preset("http://localhost:8000/v1", dialect=VLLM),
    "lmstudio": Preset("http://localhost:1234/v1"),
    "llamafile": Preset("http://localhost:8080/v1"),
    "local": Preset(
        model="smollm2-135m-instruct", dialect=OPENAI_WITH_SCHEMA, server=LocalServer
    ),
    "sandbox": Preset(
        model="sandbox",
        dialect=OPENAI_WITH_SCHEMA,
        also=(AnthropicMessages(), OpenAIResponses(), *COMPLETIONS),
        server=lambda _: SandboxServer(),
        for_development=True,
    ),
}

APIS: Mapping[str, Preset] = {
    "openai": Preset(),
    "anthropic": Preset(dialect=AnthropicMessages(), also=()),
    "azure": Preset(dialect=OPENAI_PROPER, also=(OpenAIResponses(),), dated=True),
    "bedrock": Preset(dialect=BedrockConverse(), also=()),
    "gemini": Preset(dialect=Gemini(), also=()),
}
"""What is known of an upstream that the operator describes, by the API it speaks."""
