"""JSON objects as Amazon Bedrock takes them.

Source: the model `bedrock-runtime` of botocore, "Converse".
"""

from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from llm_proxy.providers.sandbox.media import decode


class Structure(BaseModel):
    """A JSON object of a request, with the fields that the vendor knows."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)


class OneOf(Structure):
    """A structure of which exactly one member is there."""

    @model_validator(mode="after")
    def check_members(self) -> Self:
        """Refuse what says nothing, or several things."""
        if len(self.model_fields_set) != 1:
            raise PydanticCustomError("union", "Exactly one member must be set")
        return self


def _check_base64(data: str) -> str:
    if decode(data) is None:
        raise PydanticCustomError("blob", "Member must be a valid base64 string")
    return data


Blob: TypeAlias = Annotated[str, AfterValidator(_check_base64)]
