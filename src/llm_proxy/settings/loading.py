"""Reads the settings, and says what is wrong with them."""

from pydantic import ValidationError
from pydantic_settings import SettingsError

from llm_proxy.settings.fields import Settings


class ConfigurationError(Exception):
    """The operator must correct something before the service can start.

    The text has one line per problem and never the value of a setting.
    """


def load_settings(**overrides: object) -> Settings:
    """Read the settings the way the service starts, with the ``.env`` file.

    Args:
        **overrides: Fields that win over every other source.

    Returns:
        The settings.

    Raises:
        ConfigurationError: One line per problem, by the name of the variable.
    """
    try:
        return Settings(_env_file=".env", **overrides)
    except ValidationError as error:
        problems = [
            f"{str(entry['loc'][0]).upper()}: {_explain(entry['type'], entry['msg'])}"
            for entry in error.errors(include_input=False, include_context=False)
        ]
    except SettingsError as error:
        problems = [str(error)]
    raise ConfigurationError("\n".join(problems))


def _explain(kind: str, message: str) -> str:
    return "required" if kind == "missing" else message.removeprefix("Value error, ")
