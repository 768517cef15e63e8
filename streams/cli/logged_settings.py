"""Settings of commands that run until they are ended: the log says what is wrong with their names, too."""

import warnings
from typing import Any

import structlog

from streams.configuration.settings import Settings, SettingsWarning, load_settings
from streams.runtime.logs import configure_logging

__all__ = ["load_logged_settings"]


def load_logged_settings(**given: Any) -> Settings:
    """Load the settings and set the log up as they say; variables that are no settings are a warning in the log.

    Args:
        given: as of :func:`~streams.configuration.settings.load_settings`.

    Raises:
        SettingsError: as :func:`~streams.configuration.settings.load_settings`.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SettingsWarning)
        settings = load_settings(**given)
    configure_logging(settings.log_level, settings.log_format)
    for warning in caught:
        structlog.get_logger().warning("variables that are no settings", error=str(warning.message))
    return settings
