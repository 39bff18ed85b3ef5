"""Errors travel between processes as they are."""

import pickle

import pytest

from writing_service import errors

MADE = [
    errors.InvalidRequest("Wrong.", [errors.FieldError("word", "Wrong.")]),
    errors.UndrawableText("\ue000"),
    errors.UnknownMethod("canny", "no", ["a", "b"]),
    errors.MethodUnavailable("depth", "midas", "needs weights"),
    errors.UnknownPictogram("no"),
    errors.BlockedWord("word", "no"),
    errors.QueueFull("Full.", retry_after=7.5),
    errors.ModelNotFound("None."),
    errors.ShuttingDown(),
    errors.DeadlinePassed("Late."),
    errors.GenerationFailed("Failed."),
    errors.ReplicasDied(),
]


@pytest.mark.parametrize("error", MADE, ids=lambda one: type(one).__name__)
def test_an_error_arrives_as_it_was_sent(error: errors.WritingServiceError):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)
