"""What goes over the wire of a job: how it is asked for, and how it is told."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from writing_service.api.schemas import Problem, Text, WritingImageRequest, WritingImageResponse
from writing_service.diffusion.doors import Stage
from writing_service.jobs.job import JobState

_MOMENT = "2026-01-01T09:30:00Z"


class JobRequest(WritingImageRequest):
    """A word to draw, and whom to tell when it is done."""

    webhook_url: Annotated[Text, Field(max_length=2000)] | None = Field(
        None,
        description="http(s), of a host that the service's operator allows; called when the job is done",
        examples=["https://bot.example.org/done"],
    )

    def drawing(self) -> dict[str, Any]:
        """The request alone, as it was sent, ready for JSON."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"webhook_url"})


class JobLinks(BaseModel):
    """Where more of a job is; paths of this service."""

    self: str = Field(description="the job", examples=["/api/writing/jobs/4b1f"])
    events: str = Field(
        description="its progress, as events", examples=["/api/writing/jobs/4b1f/events"]
    )
    picture: str = Field(
        description="its first picture, once it is there",
        examples=["/api/writing/jobs/4b1f/picture"],
    )


class JobStatus(BaseModel):
    """How far a job is. Every key is always there."""

    id: str = Field(description="of the job", examples=["4b1f"])
    state: JobState = Field(
        description="queued, running, succeeded, failed or cancelled", examples=["running"]
    )
    stage: Stage | None = Field(
        description="of the drawing; null while nobody draws", examples=["denoise"]
    )
    step: int = Field(ge=0, description="of all pictures and attempts together", examples=[4])
    steps: int = Field(
        ge=0,
        description="grows when a picture is drawn again; 0 while it is unknown",
        examples=[6],
    )
    attempt: int = Field(
        ge=0, description="above 1 while hardly readable pictures are drawn again", examples=[1]
    )
    queue_position: int | None = Field(
        ge=0, description="jobs that begin before this one; null when finished", examples=[0]
    )
    seconds_left: float | None = Field(
        ge=0, description="as far as can be told; null when nothing is known", examples=[0.6]
    )
    poll_after_ms: int = Field(
        ge=0, description="when to ask again; 0 when finished", examples=[1000]
    )
    preview: str | None = Field(
        description="the unfinished picture, a small data-URL",
        examples=["data:image/webp;base64,UklGR..."],
    )
    word_preview: str | None = Field(
        description="the plain rendering, a small data-URL",
        examples=["data:image/webp;base64,UklGR..."],
    )
    conditioning_previews: dict[str, str] = Field(
        description="small data-URLs by kind, as they appear",
        examples=[{"canny": "data:image/webp;base64,UklGR..."}],
    )
    created_at: datetime = Field(description="when it was asked for", examples=[_MOMENT])
    started_at: datetime | None = Field(description="when drawing began", examples=[_MOMENT])
    finished_at: datetime | None = Field(description="when it ended", examples=[None])
    expires_at: datetime | None = Field(
        description="until then a finished job is kept", examples=[None]
    )
    request: dict[str, Any] = Field(
        description="as it was sent, its seed filled in", examples=[{"word": "学习", "seed": 7}]
    )
    result: WritingImageResponse | None = Field(
        description="when it succeeded, unless ?result=false", examples=[None]
    )
    error: Problem | None = Field(description="when it failed", examples=[None])
    links: JobLinks = Field(
        description="where more of it is",
        examples=[
            {
                "self": "/api/writing/jobs/4b1f",
                "events": "/api/writing/jobs/4b1f/events",
                "picture": "/api/writing/jobs/4b1f/picture",
            }
        ],
    )
