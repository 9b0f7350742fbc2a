"""Requests in which nothing is converted and nothing unknown is let pass."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A JSON object of a request, with the fields that the vendor knows."""

    model_config = ConfigDict(strict=True, extra="forbid")
