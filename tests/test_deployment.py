"""The files for a GPU machine, parsed: pins agree, the image is as it should be, the parts find each other."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from writing_service.api.keys import ENVIRONMENT, ApiKeys, check_exposure
from writing_service.config import load_settings
from writing_service.errors import ConfigurationError

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "monitoring"


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: keyword and the rest, continued lines joined, comments left out."""
    lines = [one for one in (ROOT / "Dockerfile").read_text().splitlines() if one[:1] != "#"]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.partition(" ")[::2] for line in joined.splitlines() if line.strip()]
    return [(keyword, " ".join(rest.split())) for keyword, rest in found]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(place for place, (keyword, _) in enumerate(found) if keyword == "FROM")
    return found[start:]


def test_the_gpu_pins_are_those_of_the_constraints_and_the_extra() -> None:
    constraints = pins((ROOT / "constraints.txt").read_text())
    required = (ROOT / "requirements_gpu.txt").read_text()
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert {"torch", "torchvision", "xformers", "controlnet-aux"} <= set(pins(required))
    assert pins(required).items() <= constraints.items()
    assert pins("\n".join(extra["gpu"])).items() <= pins(required).items()
    assert "-c constraints.txt" in required.splitlines()
    assert "-e .[gpu]" in required.splitlines()
    assert "opencv-python" not in pins(required)


def test_the_conda_environment_takes_the_pip_requirements() -> None:
    environment = document(ROOT / "environment_gpu.yml")
    assert environment["name"] == "amikhalev_writing_images_service"
    (through_pip,) = [one for one in environment["dependencies"] if isinstance(one, dict)]
    assert through_pip == {"pip": ["-r requirements_gpu.txt"]}
    assert "python=3.11" in environment["dependencies"]


def test_every_instruction_of_the_image_is_one() -> None:
    known = {"ARG", "FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "VOLUME", "EXPOSE"}
    assert {keyword for keyword, _ in instructions()} == known | {"HEALTHCHECK", "ENTRYPOINT"}


def test_the_image_stands_on_cuda_and_runs_as_nobody_special() -> None:
    assert instructions()[0][0] == "ARG"
    assert re.fullmatch(r"BASE=nvidia/cuda:13\.0\.\d-base-ubuntu24\.04", instructions()[0][1])
    stage = last_stage()
    assert stage[0] == ("FROM", "${BASE}")
    keywords = [keyword for keyword, _ in stage]
    user = keywords.index("USER")
    assert stage[user][1] == "writing"
    assert "RUN" not in keywords[user:]
    assert ("VOLUME", "/data/huggingface /data/state") in stage
    assert any(keyword == "ENV" and "HF_HOME=/data/huggingface" in rest for keyword, rest in stage)


def test_the_image_is_healthy_when_the_service_is() -> None:
    (check,) = [rest for keyword, rest in last_stage() if keyword == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    (entry,) = [json.loads(rest) for keyword, rest in last_stage() if keyword == "ENTRYPOINT"]
    assert entry[:2] == ["writing-service", "serve"]
    port = load_settings(entry[2:]).api.port
    assert f"127.0.0.1:{port}/health" in command[2]
    assert ("EXPOSE", str(port)) in last_stage()


def test_layers_go_from_what_rarely_changes_to_the_service_itself() -> None:
    installs = [
        rest for keyword, rest in last_stage() if keyword == "RUN" and "pip install" in rest
    ]
    assert len(installs) == 3
    assert "torch==2.13.0" in installs[0]
    assert "requirements.txt" in installs[1]
    assert "--no-deps" in installs[2]
    assert ("COPY", ". .") not in last_stage()


def test_the_images_list_of_requirements_is_the_projects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The little program of the second install, run as the image would."""
    (install,) = [rest for _, rest in last_stage() if "tomllib" in rest]
    program = install.partition('python -c "')[2].partition('" >')[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in ("[gpu]", "[gpu,ray,redis]", ""):
        here = program.replace("/tmp/pyproject.toml", str(ROOT / "pyproject.toml"))
        exec(here.replace("${EXTRAS}", extras), {})
        listed = capsys.readouterr().out.splitlines()
        optional = project["optional-dependencies"]
        wanted = [one for name in re.findall(r"\w+", extras) for one in optional[name]]
        assert listed == [*project["dependencies"], *optional["postgres"], *wanted]


def test_compose_has_the_service_with_a_gpu_and_the_watchers_beside_it() -> None:
    services = document(ROOT / "docker-compose.yml")["services"]
    assert set(services) == {"writing-service", "prometheus", "grafana"}
    service = services["writing-service"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "hub:/data/huggingface" in service["volumes"]
    load_settings([re.sub(r"\$\{\w+:-(\w+)\}", r"\1", one) for one in service["command"]])
    for one in services.values():
        assert all(port.startswith("127.0.0.1:") for port in one["ports"])
        assert not one.get("image", "").endswith(":latest")


def test_a_container_wants_keys_and_compose_says_why_it_needs_none() -> None:
    (entry,) = [json.loads(rest) for keyword, rest in last_stage() if keyword == "ENTRYPOINT"]
    service = document(ROOT / "docker-compose.yml")["services"]["writing-service"]
    with pytest.raises(ConfigurationError, match=ENVIRONMENT):
        check_exposure(load_settings(entry[2:]).api, ApiKeys({}))
    command = [one for one in service["command"] if "PIPELINE" not in one]
    check_exposure(load_settings([*entry[2:], *command]).api, ApiKeys({}))
    assert service["environment"][ENVIRONMENT] == f"${{{ENVIRONMENT}:-}}"


def test_compose_mounts_what_there_is_and_names_its_volumes() -> None:
    compose = document(ROOT / "docker-compose.yml")
    for service in compose["services"].values():
        for source in (mount.split(":")[0] for mount in service["volumes"]):
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in compose["volumes"]


def test_prometheus_and_grafana_find_what_they_watch() -> None:
    services = document(ROOT / "docker-compose.yml")["services"]
    (job,) = document(DEPLOY / "prometheus.yml")["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert target.split(":")[0] in services
    assert target.split(":")[1] == "8600"
    (source,) = document(DEPLOY / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = document(DEPLOY / "grafana/provisioning/dashboards/writing_service.yml")[
        "providers"
    ]
    inside = provider["options"]["path"].replace("/etc/grafana", str(DEPLOY / "grafana"))
    assert Path(inside).is_dir()
