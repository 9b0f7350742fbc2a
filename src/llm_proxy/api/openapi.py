"""The description of the native surface, as OpenAPI.

``python -m llm_proxy.api.openapi --write`` writes it to ``docs/openapi.json``;
``--check`` fails if that file is not what the code says.
"""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from llm_proxy import __version__
from llm_proxy.api.routes import body_models, describe_routes

_TITLE = "llm-proxy"
_DESCRIPTION = "One service between people's programs and the language models they use."
_SECURITY_SCHEMES = {
    "apiToken": {"type": "apiKey", "in": "header", "name": "X-API-Token"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def describe_service() -> dict[str, Any]:
    """Write the OpenAPI document of the service.

    Returns:
        The document. Request bodies are read by hand, so their schemas are added here.
    """
    document = get_openapi(
        title=_TITLE,
        version=__version__,
        description=_DESCRIPTION,
        routes=describe_routes(),
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SECURITY_SCHEMES
    _, bodies = models_json_schema(
        [(model, "validation") for model in body_models()],
        ref_template="#/components/schemas/{model}",
    )
    schemas = components.setdefault("schemas", {})
    schemas.update(bodies["$defs"])
    metrics = document["paths"]["/metrics"]["get"]["responses"]["200"]
    metrics["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return document


def main(arguments: list[str]) -> int:
    """Write or check the committed document.

    Args:
        arguments: ``--write`` or ``--check``, and perhaps the file's path.

    Returns:
        The exit status: 1 if the file is not up to date.
    """
    document = json.dumps(describe_service(), indent=2, sort_keys=True) + "\n"
    path = Path(arguments[1] if len(arguments) > 1 else "docs/openapi.json")
    if "--write" in arguments[:1]:
        path.write_text(document, encoding="utf-8")
        return 0
    return 0 if path.read_text(encoding="utf-8") == document else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
