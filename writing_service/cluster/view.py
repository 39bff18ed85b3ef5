"""ClusterView and ClusterGPU: all replicas as if they were one service on one device."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from writing_service.cluster.reports import Report, Standing
from writing_service.diffusion.doors import NO_GPU, GPUMemory, GPUStatus

NO_REPLICA = "no replica is up yet"


class ClusterView:
    """How all stands, as the board told it last. `asleep` are reasons why nobody draws; none where one will come."""

    def __init__(self) -> None:
        self.standing = Standing()
        self.asleep: tuple[str, ...] = (NO_REPLICA,)

    @property
    def live(self) -> tuple[Report, ...]:
        """Those who draw."""
        return self.standing.live

    def reasons(self) -> list[str]:
        """Why a request would not be served now: one replica that draws is enough."""
        if not self.live:
            return list(self.asleep)
        if any(not one.reasons for one in self.live):
            return []
        return _all(one.reasons for one in self.live)

    def identity(self) -> str | None:
        """Of the models; None while no replica tells it, or two differ, as in the midst of an update."""
        told = {one.identity for one in self.live}
        return told.pop() if len(told) == 1 else None

    def status(self) -> dict[str, Any]:
        """What of `ai_status` the replicas know; nothing without any."""
        counts = self.standing.counts
        totals = {
            "total_generations": counts.finished,
            "failed_generations": counts.failed,
            "average_generation_time_ms": counts.average_ms,
            "replicas": [_told(one) for one in self.live],
        }
        return totals if not self.live else {**totals, **_models(self.live), **_queues(self.live)}

    def memory_leak(self) -> dict[str, Any]:
        """Of the replica that has grown most; `leak_detected` where any has."""
        told = [one.memory_leak for one in self.live if one.memory_leak]
        if not told:
            return {}
        worst = max(told, key=lambda one: one["memory_diff_mb"] or 0.0)
        return {**worst, "leak_detected": any(one["leak_detected"] for one in told)}


class ClusterGPU:
    """See GPUWatch: the replicas' devices together. `here` speaks where there is no replica."""

    def __init__(self, view: ClusterView, here: Callable[[], Mapping[str, Any]]) -> None:
        self._view = view
        self._here = here

    def get_gpu_status(self) -> GPUStatus:
        """Memory and power added up, load on average, the hottest card's temperature."""
        return together([_status(one) for one in self._view.live])

    def get_memory_usage(self) -> Mapping[str, float | None]:
        """See GPUWatch; added up."""
        memory = self.get_gpu_status().memory
        process = [one.memory_usage.get("process_gb") for one in self._view.live]
        return {
            "total_gb": memory.total_gb,
            "used_gb": memory.used_gb,
            "percent_used": memory.percent_used,
            "process_gb": _sum(process) or 0.0,
        }

    def memory_in_use_mb(self) -> float:
        """See GPUWatch; added up."""
        return sum(one.memory_in_use_mb for one in self._view.live)

    def fixed_batch_sizes(self, image_size: int) -> tuple[int, ...]:
        """None to warm up from here: each replica does that itself, before it takes requests."""
        return ()

    def get_diagnostics(self) -> dict[str, Any]:
        """One replica's at length, for all are alike; `current_status` of all together; `replicas` one by one."""
        live = self._view.live
        return {
            **(live[0].diagnostics if live else self._here()),
            "current_status": self.get_gpu_status().as_dict(),
            "recommendations": _all(one.diagnostics.get("recommendations", ()) for one in live),
            "replicas": [_device(one) for one in live],
        }


def together(devices: Sequence[GPUStatus]) -> GPUStatus:
    """One for all; NO_GPU where none of them is one."""
    there = [one for one in devices if one.available]
    if not there:
        return NO_GPU
    total = _sum(one.memory.total_gb for one in there)
    used = _sum(one.memory.used_gb for one in there)
    loads = [one.utilization_percent for one in there if one.utilization_percent is not None]
    heat = [one.temperature_celsius for one in there if one.temperature_celsius is not None]
    return GPUStatus(
        True,
        _names(one.name or "GPU" for one in there),
        GPUMemory(
            total, used, round(100 * used / total, 1) if total and used is not None else None
        ),
        round(sum(loads) / len(loads)) if loads else None,
        max(heat, default=None),
        _sum(one.power_usage_watts for one in there),
    )


def _status(report: Report) -> GPUStatus:
    told: Mapping[str, Any] = report.diagnostics.get("current_status") or NO_GPU.as_dict()
    whole: dict[str, Any] = {**told, "memory": GPUMemory(**told["memory"])}
    return GPUStatus(**whole)


def _names(names: Iterable[str]) -> str:
    """ "4 × NVIDIA H100"."""
    return ", ".join(
        f"{count} × {name}" if count > 1 else name for name, count in Counter(names).items()
    )


def _sum(values: Iterable[float | None]) -> float | None:
    """Of those that are told; None where none is."""
    told = [one for one in values if one is not None]
    return round(sum(told), 3) if told else None


def _all(lists: Iterable[Iterable[str]]) -> list[str]:
    """Each once."""
    return list(dict.fromkeys(one for each in lists for one in each))


def _told(report: Report) -> dict[str, Any]:
    status = report.status
    names = ("models_loaded", "total_generations", "failed_generations", "queue_depth")
    return {
        "replica": report.replica,
        "node": report.node,
        "reasons": list(report.reasons),
        **{name: status.get(name) for name in names},
    }


def _device(report: Report) -> dict[str, Any]:
    told = report.diagnostics
    info, current = told.get("gpu_info"), told.get("current_status")
    return {
        "replica": report.replica,
        "node": report.node,
        "gpu_info": info,
        "current_status": current,
    }


def _models(live: Sequence[Report]) -> dict[str, Any]:
    """Times and memory of loading are those of the replica that took most."""
    return {
        "models_loaded": any(one.status["models_loaded"] for one in live),
        "loading": next((one.status["loading"] for one in live if one.status["loading"]), None),
        "load_times_ms": _most(one.status["load_times_ms"] for one in live),
        "load_memory_mb": _most(one.status["load_memory_mb"] for one in live),
        "model_cache": live[0].status["model_cache"],
    }


def _most(many: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found = dict[str, float]()
    for one in many:
        found |= {name: max(value, found.get(name, value)) for name, value in one.items()}
    return found


def _queues(live: Sequence[Report]) -> dict[str, Any]:
    told = [one.status["batches"] for one in live if one.status["batches"]]
    return {
        "queue_depth": sum(one.status["queue_depth"] for one in live),
        "batches": _batches(told) if told else None,
    }


def _batches(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_size = sum((Counter(one["by_size"]) for one in told), Counter[int]())
    steps, pictures = by_size.total(), sum(size * count for size, count in by_size.items())
    return {
        "steps": steps,
        "mean_pictures": round(pictures / steps, 2) if steps else None,
        "largest": max(by_size, default=0),
        "by_size": dict(by_size),
    }
