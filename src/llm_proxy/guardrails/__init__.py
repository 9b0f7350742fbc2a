"""Guardrails: personal data and prompt injection, as pure functions of text."""

from llm_proxy.guardrails.injection import detect
from llm_proxy.guardrails.pii import Redaction, redact
from llm_proxy.guardrails.policy import Action, Guardrails, Verdict

__all__ = ["Action", "Guardrails", "Redaction", "Verdict", "detect", "redact"]
