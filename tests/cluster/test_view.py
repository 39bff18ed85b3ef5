"""All replicas as one service on one device."""

from typing import Any

from tests.fakes import fake_generator
from writing_service.api.health_schemas import AIStatus, GPUDiagnostics, GPUStatus
from writing_service.cluster.reports import Counts, Report, Standing, report_of
from writing_service.cluster.view import NO_REPLICA, ClusterGPU, ClusterView
from writing_service.diffusion import doors
from writing_service.diffusion.fake import FakeGPU

CARD = doors.GPUStatus(True, "H200", doors.GPUMemory(100.0, 25.0, 25.0), 80, 60, 400.0)
HOT = doors.GPUStatus(True, "H200", doors.GPUMemory(100.0, 50.0, 50.0), 40, 75, 300.0)


def view(*reports: Report, **counts: Any) -> ClusterView:
    found = ClusterView()
    found.standing = Standing(reports, Counts(**counts), 1)
    return found


def report(name: str, gpu: doors.GPUStatus = CARD, **changes: Any) -> Report:
    generator, _ = fake_generator()
    told = report_of(name, "node", generator, FakeGPU(status=gpu), lambda: "models")
    return Report(**{**vars(told), **changes})


def test_one_replica_that_draws_is_enough():
    assert view(report("a", reasons=("lost",)), report("b")).reasons() == []
    assert view(report("a", reasons=("lost",)), report("b", reasons=("lost",))).reasons() == [
        "lost"
    ]


def test_without_a_replica_it_depends_on_whether_one_will_come():
    empty = ClusterView()
    assert empty.reasons() == [NO_REPLICA]
    empty.asleep = ()
    assert empty.reasons() == []


def test_the_models_are_told_by_what_all_replicas_have():
    assert view().identity() is None
    assert view(report("a"), report("b")).identity() == "models"
    assert view(report("a"), report("b", identity="others")).identity() is None


def test_counts_and_queues_add_up():
    status = {
        **report("a").status,
        "models_loaded": True,
        "queue_depth": 2,
        "batches": {"steps": 3, "mean_pictures": 2.0, "largest": 3, "by_size": {1: 1, 2: 1, 3: 1}},
    }
    told = view(report("a", status=status), report("b", status=status), finished=9).status()
    assert told["queue_depth"] == 4
    assert told["total_generations"] == 9
    assert told["batches"] == {
        "steps": 6,
        "mean_pictures": 2.0,
        "largest": 3,
        "by_size": {1: 2, 2: 2, 3: 2},
    }
    assert [one["replica"] for one in told["replicas"]] == ["a", "b"]
    AIStatus.model_validate({**told, "cache": None})


def test_devices_add_up():
    gpu = ClusterGPU(view(report("a"), report("b", HOT)), dict)
    status = gpu.get_gpu_status()
    assert status == doors.GPUStatus(
        True, "2 × H200", doors.GPUMemory(200.0, 75.0, 37.5), 60, 75, 700.0
    )
    GPUStatus.model_validate(status.as_dict())
    usage = gpu.get_memory_usage()
    assert usage["used_gb"] == 75.0
    assert gpu.memory_in_use_mb() == 2000.0


def test_diagnostics_are_one_replicas_and_say_of_each_how_it_fares():
    here = FakeGPU()
    told = ClusterGPU(view(report("a"), report("b", HOT)), here.get_diagnostics).get_diagnostics()
    assert [one["current_status"]["power_usage_watts"] for one in told["replicas"]] == [400, 300]
    assert told["current_status"]["power_usage_watts"] == 700
    generator, _ = fake_generator()
    assert generator.default_side
    GPUDiagnostics.model_validate(
        {
            "gpu_info": {},
            "optimization_profile": {
                "name": "cpu",
                "settings": {},
                "applied": {},
                "not_applied": {},
            },
            "memory_history": [],
            "performance_history": [],
            **told,
        }
    )


def test_without_replicas_this_machine_speaks():
    told = ClusterGPU(view(), lambda: {"gpu_info": "mine"}).get_diagnostics()
    assert told["gpu_info"] == "mine"
    assert told["current_status"]["available"] is False


def test_memory_grows_where_it_grows_most():
    calm = {"leak_detected": False, "memory_diff_mb": None}
    grown = {"leak_detected": True, "memory_diff_mb": 700.0}
    told = view(report("a", memory_leak=grown), report("b", memory_leak=calm)).memory_leak()
    assert told == grown
    assert view().memory_leak() == {}
