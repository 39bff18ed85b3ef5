"""The configuration files as Ray reads them, and what `build` binds."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is missing: pip install '.[ray]'"),
    # Of Ray's own making.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

FOLDER = Path(__file__).parents[2] / "deploy" / "ray"
FILES = sorted(FOLDER.glob("*.yaml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda one: one.stem)
def test_ray_takes_the_file(path: Path):
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_validate(read(path))
    (application,) = schema.applications
    assert application.import_path == "writing_service.ray_deployment:build"


@pytest.mark.parametrize("path", FILES, ids=lambda one: one.stem)
def test_it_names_what_there_is(path: Path):
    from writing_service import ray_deployment

    (application,) = read(path)["applications"]
    ray_deployment.Options.model_validate(application["args"])
    parts = (ray_deployment.BoardKeeper, ray_deployment.Engine, ray_deployment.Ingress)
    assert {one["name"] for one in application["deployments"]} == {one.name for one in parts}


def test_serve_yaml_says_what_the_code_says_where_it_says_nothing_else():
    from writing_service.ray_deployment import BoardKeeper, Engine

    (application,) = read(FOLDER / "serve.yaml")["applications"]
    told = {one["name"]: one for one in application["deployments"]}
    assert told["Engine"]["max_ongoing_requests"] == Engine.max_ongoing_requests
    assert told["Engine"]["ray_actor_options"] == Engine.ray_actor_options
    assert told["Board"]["ray_actor_options"] == BoardKeeper.ray_actor_options


def test_a_service_without_keys_is_not_opened_by_oversight(monkeypatch: pytest.MonkeyPatch):
    from writing_service.api.keys import ENVIRONMENT
    from writing_service.errors import ConfigurationError
    from writing_service.ray_deployment import Options, build

    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(ConfigurationError, match="no API keys"):
        build(Options())
    assert build(Options(overrides=("api.serve_without_keys=true",)))


def test_several_ingresses_are_told_what_they_do_not_share():
    from writing_service.config import load_settings
    from writing_service.ray_deployment import not_shared

    alone = not_shared(load_settings(["jobs.url=sqlite://", "cache.enabled=true"]))
    assert [one.split()[0] for one in alone] == ["jobs.url", "cache.redis", "each"]
    shared = ["jobs.url=postgresql://host/jobs", "cache.redis=redis://host/0"]
    assert len(not_shared(load_settings(shared))) == 1
