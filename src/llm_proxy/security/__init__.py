"""Who is calling, and from where."""

from llm_proxy.security.address import ClientAddress
from llm_proxy.security.credentials import read_token
from llm_proxy.security.tokens import SettingsTokenStore, TokenStore

__all__ = ["ClientAddress", "SettingsTokenStore", "TokenStore", "read_token"]
