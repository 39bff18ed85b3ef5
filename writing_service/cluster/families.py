"""Prometheus' metrics of several processes as one: each sample says in its label `replica` whose it is."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Families = Iterable[Metric]


def packed(registry: CollectorRegistry) -> bytes:
    """What a process tells of itself, for the board."""
    return pickle.dumps(list(registry.collect()))


class ClusterMetrics(Collector):
    """Of all replicas that are on the board, read each time it is asked: waits for the board, not on the event loop."""

    def __init__(self, read: Callable[[], Mapping[str, bytes]]) -> None:
        """`read` gives by replica what `packed` made there."""
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the registry would read everything once when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Families of one name become one, as the text format wants it."""
        # Written by this service's own replicas, inside the cluster, where pickle is what Ray speaks anyhow.
        yield from merged({name: pickle.loads(one) for name, one in self._read().items()})  # noqa: S301


def merged(by_replica: Mapping[str, Families]) -> list[Metric]:
    """One family a name, in the order in which the names appear."""
    found = dict[str, Metric]()
    for replica, families in by_replica.items():
        for family in families:
            whole = found.setdefault(family.name, _without_samples(family))
            whole.samples += [
                one._replace(labels={**one.labels, "replica": replica}) for one in family.samples
            ]
    return list(found.values())


def _without_samples(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type, family.unit)
