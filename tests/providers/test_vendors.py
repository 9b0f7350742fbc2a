import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.providers.vendors import find_vendor

FAMILIES = {
    "openai": (
        "gpt-4o gpt-5.9-turbo-preview gpt-35-turbo chatgpt-4o-latest o3 o4-mini o9-pro"
        " ft:gpt-4o:org::id text-embedding-3-small text-embedding-ada-002"
        " omni-moderation-latest whisper-1 tts-1 tts-1-hd gpt-image-1 dall-e-3"
        " davinci-002 codex-mini-latest computer-use-preview"
    ),
    "anthropic": "claude-sonnet-4-5 claude-3-5-haiku-20241022 Claude-Opus-9",
    "gemini": "gemini-2.5-pro models/gemini-2.5-pro gemini-embedding-001 imagen-4",
    "mistral": (
        "mistral-large-latest ministral-8b-latest codestral-2508 open-mixtral-8x7b"
        " ft:open-mistral-7b:org:date:id pixtral-large"
    ),
    "deepseek": "deepseek-chat deepseek-reasoner deepseek-v9",
    "xai": "grok-4 grok-code-fast-1",
    "cohere": "command command-r command-a-03-2025 embed-v4.0 rerank-v3.5",
    "perplexity": "sonar sonar-pro",
    "moonshot": "kimi-k2 moonshot-v1-8k",
    "zai": "glm-4.6 GLM-4.6",
    "minimax": "MiniMax-M2",
    "dashscope": "qwen-max qwen3-max qwq-32b text-embedding-v4",
    "bedrock": (
        "anthropic.claude-3-haiku-20240307-v1:0 amazon.nova-pro-v1:0"
        " us.anthropic.claude-sonnet-4-5-20250929-v1:0 mistral.mistral-large-2402-v1:0"
        " us-gov.amazon.nova-lite-v1:0 cohere.command-r-v1:0 meta.llama3-8b-instruct"
        " arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova"
    ),
}


@pytest.mark.parametrize(
    ("name", "vendor"),
    [(name, vendor) for vendor, names in FAMILIES.items() for name in names.split()],
)
def test_names_tell_the_vendor(name, vendor):
    assert find_vendor(name) == vendor


@pytest.mark.parametrize(
    "name",
    [
        "",
        "llama-3.3-70b-versatile",
        "gpt-oss-120b",
        "deepseek-r1-distill-llama-70b",
        "whisper-large-v3",
        "my-claude-3",
        "gpt",
        "o3js",
        "commander",
        "anthropic/claude-sonnet-4-5",
    ],
)
def test_other_names_tell_nothing(name):
    assert find_vendor(name) is None


@given(st.text(max_size=300))
def test_any_text_has_an_answer(name):
    assert find_vendor(name) in {None, *FAMILIES}
