"""The manifests: Kubernetes' own schemas, strictly; what they promise; and Ray's schema of what KubeRay deploys."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from writing_service.api.keys import ENVIRONMENT, ApiKeys, check_exposure
from writing_service.config import load_settings

ROOT = Path(__file__).parents[1]
PLAIN = ROOT / "deploy" / "kubernetes" / "deployment.yaml"
RAY = ROOT / "deploy" / "kubernetes" / "rayservice.yaml"
SERVE = ROOT / "deploy" / "ray" / "serve.yaml"
DEMO = ROOT / "deploy" / "ray" / "demo.yaml"
VERSIONS = ("1.33", kubernetes_validate.latest_version())
KEYS = ApiKeys({"bot": "0" * 64})


def documents(path: Path) -> dict[str, Any]:
    """By kind."""
    return {one["kind"]: one for one in yaml.safe_load_all(path.read_text("utf-8"))}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["spec"]["containers"]
    return only


def ray_pods() -> dict[str, dict[str, Any]]:
    """Templates by the group's name."""
    cluster = documents(RAY)["RayService"]["spec"]["rayClusterConfig"]
    workers = {one["groupName"]: one["template"] for one in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"]["template"], **workers}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", [PLAIN, RAY], ids=lambda one: one.stem)
def test_kubernetes_takes_every_document(path: Path, version: str):
    assert len(documents(path)) > 1
    for kind, one in documents(path).items():
        if kind != "RayService":  # KubeRay's own
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", ["head", "cpu", "gpu"])
def test_kubernetes_takes_rays_pods(name: str):
    metadata = {"name": name, "labels": {}}
    template = ray_pods()[name]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    assert template["spec"]["containers"]
    kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


def test_a_mistake_is_found():
    broken = documents(PLAIN)["Deployment"]
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_the_plain_pods_settings_are_settings_and_its_grace_outlasts_a_request():
    spec = documents(PLAIN)["Deployment"]["spec"]["template"]["spec"]
    one = container({"spec": spec})
    settings = load_settings(["api.host=0.0.0.0", *one["args"]])
    check_exposure(settings.api, KEYS)
    sleeps = one["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = settings.api.shutdown_grace_seconds
    assert grace > settings.api.request_timeout_seconds
    assert spec["terminationGracePeriodSeconds"] >= sleeps + grace + 10
    assert settings.api.port == one["ports"][0]["containerPort"]


def test_the_plain_pods_probes_ask_the_health_routes_which_need_no_key():
    one = container(documents(PLAIN)["Deployment"]["spec"]["template"])
    paths = {name: one[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")}
    assert set(paths.values()) == {"/health"}
    assert one["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert {"/health", "/health/ready"} <= set(load_settings().api.open_paths)


@pytest.mark.parametrize("path", [PLAIN, RAY], ids=lambda one: one.stem)
def test_a_gpu_a_place_for_models_and_a_budget_of_disruptions(path: Path):
    found = documents(path)
    template = found["Deployment"]["spec"]["template"] if path is PLAIN else ray_pods()["gpu"]
    one = container(template)
    assert one["resources"]["limits"]["nvidia.com/gpu"] == "1"
    mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
    assert mounts["models"] == "/data/huggingface"
    claim = next(one for one in template["spec"]["volumes"] if one["name"] == "models")
    name = claim["persistentVolumeClaim"]["claimName"]
    assert name == documents(PLAIN)["PersistentVolumeClaim"]["metadata"]["name"]
    budget = found["PodDisruptionBudget"]["spec"]
    assert budget["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_secrets_come_by_environment():
    for template in [documents(PLAIN)["Deployment"]["spec"]["template"], *ray_pods().values()]:
        assert container(template)["envFrom"] == [{"secretRef": {"name": "writing-service"}}]
    assert ENVIRONMENT in PLAIN.read_text("utf-8")


def test_kuberay_deploys_what_serve_yaml_says_with_the_pinned_ray():
    spec = documents(RAY)["RayService"]["spec"]
    assert yaml.safe_load(spec["serveConfigV2"]) == yaml.safe_load(SERVE.read_text("utf-8"))
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert spec["rayClusterConfig"]["rayVersion"] == pinned[1]


def test_groups_of_machines_suffice_for_the_replicas():
    (application,) = yaml.safe_load(SERVE.read_text("utf-8"))["applications"]
    wanted = {one["name"]: one for one in application["deployments"]}
    cluster = documents(RAY)["RayService"]["spec"]["rayClusterConfig"]
    groups = {one["groupName"]: one for one in cluster["workerGroupSpecs"]}
    engines = wanted["Engine"]["autoscaling_config"]
    surge = 1 + wanted["Engine"]["max_surge_percent"] / 100
    assert groups["gpu"]["maxReplicas"] == engines["max_replicas"] * surge
    cpus = int(groups["cpu"]["rayStartParams"]["num-cpus"]) * groups["cpu"]["replicas"]
    ingress, board = wanted["Ingress"], wanted["Board"]
    needed = ingress["num_replicas"] * ingress["ray_actor_options"]["num_cpus"]
    assert needed + board["ray_actor_options"]["num_cpus"] <= cpus
    on_gpu = wanted["Engine"]["ray_actor_options"]
    params = groups["gpu"]["rayStartParams"]
    assert float(params["num-cpus"]) >= on_gpu["num_cpus"]
    assert float(params["num-gpus"]) >= on_gpu["num_gpus"]


@pytest.mark.parametrize("path", [SERVE, DEMO], ids=lambda one: one.stem)
def test_rays_settings_are_the_services(path: Path):
    (application,) = yaml.safe_load(path.read_text("utf-8"))["applications"]
    settings = load_settings(application["args"]["overrides"])
    for one in application["deployments"]:
        longest = settings.api.max_request_timeout_seconds
        assert one.get("graceful_shutdown_timeout_s", longest + 1) > longest


def test_a_pod_outlives_the_longest_request():
    longest = load_settings().api.max_request_timeout_seconds
    for name, template in ray_pods().items():
        if name != "head":
            assert template["spec"]["terminationGracePeriodSeconds"] > longest
