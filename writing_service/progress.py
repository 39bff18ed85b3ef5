"""Telling: one request's progress from its first stage to its last, over all attempts at its pictures."""

from dataclasses import replace

from PIL import Image

from writing_service.diffusion.doors import OnProgress, Progress, Stage
from writing_service.types import ControlImage


class Telling:
    """Tells somebody, or nobody, how far a request is. Used on the event loop only.

    Steps never go back: each attempt counts on from where the one before it ended, `attempt` says which it is, and
    `steps` grows by what it takes. It is an OnProgress itself, so that who tells the outer stages can hand it on.
    """

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._latest = Progress(Stage.RENDER, 0, 0)
        self._attempt = 0

    def __call__(self, progress: Progress) -> None:
        """See OnProgress."""
        self._latest = replace(progress, preview=None, word=None, control_image=None)
        if self._on_progress is not None:
            self._on_progress(progress)

    def begins(self, stage: Stage, steps: int | None = None) -> None:
        """A stage without steps of its own. `steps` is the request's number, once it is known."""
        steps = self._latest.steps if steps is None else steps
        step = steps if stage is Stage.ENCODE else self._latest.step
        self(Progress(stage, step, steps, attempt=self._latest.attempt))

    def shows_word(self, word: Image.Image) -> None:
        """The plain rendering is there."""
        self(replace(self._latest, word=word))

    def shows_control(self, image: ControlImage) -> None:
        """One of the control images is there."""
        self(replace(self._latest, control_image=image))

    def attempts(self) -> OnProgress:
        """What the pipeline calls during the next attempt."""
        self._attempt += 1
        attempt = self._attempt
        # The first one's steps are those that were promised; each other one's are more.
        before = (self._latest.step, self._latest.steps) if attempt > 1 else (0, 0)

        def on_progress(progress: Progress) -> None:
            step, steps = before[0] + progress.step, before[1] + progress.steps
            if step < self._latest.step:
                # A preview that took its time.
                self(replace(self._latest, preview=progress.preview))
            else:
                self(replace(progress, step=step, steps=steps, attempt=attempt))

        return on_progress
