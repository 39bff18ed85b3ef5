"""Settings: Hydra composes the YAML of `conf/config`, pydantic checks and freezes it.

Nobody else knows Hydra. Each object is given only its own slice. A wrong key or value is a
ConfigurationError whose one sentence names it.
"""

from writing_service.config.drawing import (
    AIGenerationSettings,
    CacheSettings,
    DetectorSettings,
    FontSettings,
    GenerationSettings,
    GPUSettings,
    LegibilitySettings,
    LoRASettings,
    MemoryLeakSettings,
    ModelSettings,
    PresetSettings,
    SchedulerSettings,
    StyleSettings,
)
from writing_service.config.keys import known_keys
from writing_service.config.loading import config_folder, load_settings
from writing_service.config.service import (
    ApiSettings,
    JobSettings,
    LoggerSettings,
    LoggingSettings,
    RateLimitSettings,
    ResultCacheSettings,
    TracingSettings,
)
from writing_service.config.settings import Settings
from writing_service.config.values import (
    LARGEST_SIDE,
    LARGEST_WEIGHT,
    Guidance,
    Side,
    Steps,
    Weight,
    WindowFractions,
)

__all__ = [
    "LARGEST_SIDE",
    "LARGEST_WEIGHT",
    "AIGenerationSettings",
    "ApiSettings",
    "CacheSettings",
    "DetectorSettings",
    "FontSettings",
    "GPUSettings",
    "GenerationSettings",
    "Guidance",
    "JobSettings",
    "LegibilitySettings",
    "LoRASettings",
    "LoggerSettings",
    "LoggingSettings",
    "MemoryLeakSettings",
    "ModelSettings",
    "PresetSettings",
    "RateLimitSettings",
    "ResultCacheSettings",
    "SchedulerSettings",
    "Settings",
    "Side",
    "Steps",
    "StyleSettings",
    "TracingSettings",
    "Weight",
    "WindowFractions",
    "config_folder",
    "known_keys",
    "load_settings",
]
