"""What a request to Amazon Bedrock has to show.

Source: the Amazon Bedrock user guide, "API keys", and the AWS IAM user guide, "AWS
Signature Version 4"; the form of a signature is checked, and not what it signs.
"""

import re
from collections.abc import Mapping

from llm_proxy.providers.sandbox.dialect import Problem

_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 "
    r"Credential=[^/,\s]+/(?P<day>\d{8})/[a-z0-9-]+/bedrock/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?"
    r"Signature=[0-9a-f]{64}"
)
_ALWAYS_SIGNED = {"host", "x-amz-date"}


def check_credentials(headers: Mapping[str, str]) -> Problem | None:
    """Demand any API key as a bearer, or a signature.

    Args:
        headers: Those of the request, in lower case.

    Returns:
        What is missing or malformed.
    """
    authorization = headers.get("authorization", "")
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return None
    if not authorization:
        return Problem(
            403, "Missing Authentication Token", "MissingAuthenticationTokenException"
        )
    found = _SIGNATURE.fullmatch(authorization)
    if found is None:
        return Problem(
            403,
            "Authorization header requires 'Credential', 'SignedHeaders' and "
            "'Signature' parameters for the service 'bedrock'.",
            "IncompleteSignatureException",
        )
    signed = {*found["headers"].split(";")}
    date = headers.get("x-amz-date", "")
    if signed >= _ALWAYS_SIGNED and signed <= {*headers} and date[:8] == found["day"]:
        return None
    return Problem(
        403,
        "The request signature we calculated does not match the signature you "
        "provided. Check your AWS Secret Access Key and signing method.",
        "InvalidSignatureException",
    )
