"""What a Gemini model can do, as far as the id in the path tells.

Source: the Gemini API's pages "Gemini thinking", "Thought signatures" and "Structured
outputs".
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelID:
    """The id of a model, without the collection it belongs to."""

    text: str

    @property
    def is_gemini_3(self) -> bool:
        """Whether it demands signatures, and takes what came with the generation."""
        return self.text.startswith("gemini-") and self.takes_levels

    @property
    def takes_levels(self) -> bool:
        """Whether it can be told how hard to think, instead of how long."""
        return not self.text.startswith(("gemini-1", "gemini-2"))

    @property
    def is_pro(self) -> bool:
        """Whether it is one of the large ones, which cannot be kept from thinking."""
        return self.text.startswith("gemini-") and "-pro" in self.text
