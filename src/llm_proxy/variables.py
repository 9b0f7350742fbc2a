"""Where the values of the settings come from, as one mapping of variables."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    AWSSecretsManagerSettingsSource,
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

LOCAL = frozenset({"development", "testing"})
HOSTED = frozenset({"staging", "production"})


class VariablesSource(PydanticBaseSettingsSource):
    """All variables, whether or not a field of the settings claims them.

    The process environment comes first. What it leaves open is looked up in the
    dotenv file (development and testing) or in AWS Secrets Manager (staging and
    production, when ``SECRETS_MANAGER_ID`` is set). An empty variable is a missing one.

    Args:
        settings_cls: The settings to fill.
        env_file: The dotenv file; None reads none.

    Attributes:
        found: What the last call found, by lower-case name.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], env_file: str | None = None
    ) -> None:
        super().__init__(settings_cls)
        self.found: dict[str, str] = {}
        self._env_file = env_file

    def get_field_value(
        self, field: FieldInfo, field_name: str
    ) -> tuple[Any, str, bool]:
        """Answer for one field, as the base class demands."""
        return self.found.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Gather the variables.

        Returns:
            Values by lower-case name.

        Raises:
            SettingsError: The dotenv file or the secret cannot be used.
        """
        process = _filled(EnvSettingsSource(self.settings_cls))
        fields = self.settings_cls.model_fields
        defaults = {name: field.default for name, field in fields.items()}
        known = {**defaults, **process, **self.current_state}
        environment = known["environment"]
        further: dict[str, str] = {}
        if environment in LOCAL and self._env_file is not None:
            further = self._read_env_file(self._env_file)
        elif environment in HOSTED and known["secrets_manager_id"]:
            further = self._read_secret(
                str(known["secrets_manager_id"])
                .replace("{service}", str(known["service_name"]))
                .replace("{environment}", environment)
            )
        self.found = {**further, **process}
        chosen = {**self.found, **self.current_state}.get("environment")
        if environment in LOCAL and chosen in HOSTED:
            raise SettingsError(
                "ENVIRONMENT: staging and production do not read the .env file, so it"
                " cannot choose them; set the variable itself"
            )
        return dict(self.found)

    def _read_env_file(self, env_file: str) -> dict[str, str]:
        try:
            return _filled(DotEnvSettingsSource(self.settings_cls, env_file=env_file))
        except (OSError, UnicodeDecodeError) as error:
            reason = type(error).__name__
            raise SettingsError(f"the .env file cannot be read ({reason})") from None

    def _read_secret(self, secret_id: str) -> dict[str, str]:
        try:
            from botocore.exceptions import BotoCoreError, ClientError

            secret = AWSSecretsManagerSettingsSource(
                self.settings_cls, secret_id, case_sensitive=False, env_prefix=""
            )
        except ImportError:
            reason = 'install the extra: pip install "llm-proxy[aws]"'
        except ClientError as error:
            reason = error.response["Error"]["Code"]
        except BotoCoreError as error:
            reason = type(error).__name__
        except (KeyError, ValueError, AttributeError):
            # What pydantic-settings lets through for a binary secret, for text that
            # is not JSON and for JSON that is not an object.
            reason = "it is not a JSON object"
        else:
            return _filled(secret)
        raise SettingsError(f"SECRETS_MANAGER_ID: the secret cannot be read ({reason})")


def _filled(source: EnvSettingsSource) -> dict[str, str]:
    return {
        name: str(value)
        for name, value in source.env_vars.items()
        if value is not None and value != ""
    }
