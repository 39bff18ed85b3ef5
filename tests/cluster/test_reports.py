"""The board: who is there, what was drawn in all."""

from writing_service.cluster.reports import FRESH_SECONDS, Board, Counts, Report


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def report(name: str, finished: int = 0, average_ms: float | None = None) -> Report:
    status = {
        "total_generations": finished,
        "failed_generations": 1,
        "average_generation_time_ms": average_ms,
    }
    return Report(name, "node", status=status)


def test_those_who_draw_are_told_apart_from_those_who_only_take_requests_in():
    board = Board()
    board.post(report("a"), b"A")
    board.post(report("b"), b"B")
    assert board.exchange("in", b"I").ingresses == 1
    standing = board.exchange("in too", b"J")
    assert [one.replica for one in standing.live] == ["a", "b"]
    assert standing.ingresses == 2
    assert board.metrics() == {"a": b"A", "b": b"B", "in": b"I", "in too": b"J"}


def test_counts_add_up_and_the_average_is_that_of_all_pictures():
    board = Board()
    board.post(report("a", 3, 1000.0), b"")
    board.post(report("b", 1, 3000.0), b"")
    counts = board.exchange("in", b"").counts
    assert counts == Counts(4, 2, 6.0)
    assert counts.average_ms == 1500.0
    assert Counts().average_ms is None


def test_a_replica_that_is_not_heard_of_is_gone_but_what_it_drew_counts():
    clock = Clock()
    board = Board(clock)
    board.post(report("a", 3, 1000.0), b"A")
    clock.now += FRESH_SECONDS + 1
    board.post(report("b", 1, 1000.0), b"B")
    standing = board.exchange("in", b"I")
    assert [one.replica for one in standing.live] == ["b"]
    assert standing.counts.finished == 4
    assert set(board.metrics()) == {"b", "in"}
    board.post(report("a", 4, 1000.0), b"A")
    assert board.exchange("in", b"I").counts.finished == 5
