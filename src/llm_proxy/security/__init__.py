"""Who is calling, from where, and what they may do."""

from llm_proxy.security.access_tokens import AccessTokens
from llm_proxy.security.address import ClientAddress
from llm_proxy.security.credentials import read_token
from llm_proxy.security.identities import Identities
from llm_proxy.security.key_ring import KeyRing
from llm_proxy.security.key_store import KeyStore
from llm_proxy.security.oidc import OIDC, IdentityProvider
from llm_proxy.security.pepper import find_pepper, is_pepper_missing
from llm_proxy.security.tokens import SettingsTokenStore

__all__ = [
    "OIDC",
    "AccessTokens",
    "ClientAddress",
    "Identities",
    "IdentityProvider",
    "KeyRing",
    "KeyStore",
    "SettingsTokenStore",
    "find_pepper",
    "is_pepper_missing",
    "read_token",
]
