"""What goes over the wire of a job: how it is asked for, and how it is told."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from writing_service.api.schemas import Problem, Text, WritingImageRequest, WritingImageResponse
from writing_service.diffusion.doors import Stage
from writing_service.jobs.job import JobState


class JobRequest(WritingImageRequest):
    """A word to draw, and whom to tell when it is done."""

    webhook_url: Annotated[Text, Field(max_length=2000)] | None = Field(
        None,
        description="http(s), of a host that the service's operator allows; called when the job is done",
    )

    def drawing(self) -> dict[str, Any]:
        """The request alone, as it was sent, ready for JSON."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"webhook_url"})


class JobLinks(BaseModel):
    """Where more of a job is; paths of this service."""

    self: str
    events: str
    picture: str


class JobStatus(BaseModel):
    """How far a job is. Every key is always there."""

    id: str
    state: JobState
    stage: Stage | None = Field(description="of the drawing; null while nobody draws")
    step: int = Field(description="of all pictures and attempts together")
    steps: int = Field(description="grows when a picture is drawn again; 0 while it is unknown")
    attempt: int = Field(description="above 1 while hardly readable pictures are drawn again")
    queue_position: int | None = Field(
        description="jobs that begin before this one; null when finished"
    )
    seconds_left: float | None = Field(
        description="as far as can be told; null when nothing is known"
    )
    poll_after_ms: int = Field(description="when to ask again; 0 when finished")
    preview: str | None = Field(description="the unfinished picture, a small data-URL")
    word_preview: str | None = Field(description="the plain rendering, a small data-URL")
    conditioning_previews: dict[str, str] = Field(
        description="small data-URLs by kind, as they appear"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="until then a finished job is kept")
    request: dict[str, Any] = Field(description="as it was sent, its seed filled in")
    result: WritingImageResponse | None
    error: Problem | None
    links: JobLinks
