"""Upstream APIs in llm-proxy.yaml."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from llm_proxy.config.values import BaseURL, Secret, Section, Text


class ProviderConfig(Section):
    """An upstream API, new or adjusted.

    Attributes:
        api: The dialect it speaks.
        base_url: Its address; None for the one that is built in.
        api_key: Its key; None for the one in the environment.
        model: The model of a request that names none.
        headers: Sent with every request; hidden, because they may hold secrets.
        api_version: The version of an Azure API whose versions are dates.
        hung_up: What becomes of a stream whose caller hangs up: ``cancel`` stops the
            upstream and bills what has come, ``drain`` reads on to the usage, for
            vendors who bill the whole answer anyway.
    """

    api: Literal["openai", "anthropic", "azure", "bedrock", "gemini"] = "openai"
    base_url: BaseURL | None = None
    api_key: Secret | None = None
    model: Text | None = None
    headers: Mapping[str, Text] = Field(default={}, repr=False)
    api_version: Text | None = None
    hung_up: Literal["cancel", "drain"] = "cancel"
