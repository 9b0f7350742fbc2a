"""One service between people's programs and the language models they use."""

__all__ = ["__version__"]

__version__ = "1.0.0"
