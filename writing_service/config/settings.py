"""Settings: all slices."""

from writing_service.config.drawing import AIGenerationSettings
from writing_service.config.service import (
    ApiSettings,
    JobSettings,
    LoggingSettings,
    ResultCacheSettings,
    TracingSettings,
)
from writing_service.config.values import Slice


class Settings(Slice):
    """The whole tree."""

    ai_generation: AIGenerationSettings
    api: ApiSettings
    jobs: JobSettings
    cache: ResultCacheSettings
    logging: LoggingSettings
    tracing: TracingSettings = TracingSettings()
