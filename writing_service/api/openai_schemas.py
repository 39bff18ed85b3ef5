"""What goes over the wire under /v1: requests and answers in the shape of OpenAI's images API."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from writing_service.api.schemas import LARGEST_SEED, Text, WritingImageRequest, complaints
from writing_service.errors import FieldError, InvalidRequest
from writing_service.types import ImageFormat

OURS = "writing-service"
"""The model's name that always works; so do those of OpenAI's own image models, which unchanged programs send."""

_OPENAI_MODELS = ("dall-e", "gpt-image", "chatgpt-image")

PRESETS: Mapping[str, str] = {
    "low": "fast",
    "medium": "balanced",
    "standard": "balanced",
    "high": "quality",
    "hd": "quality",
}
"""By `quality`; "auto" leaves it to the configuration."""

THEIR_NAMES: Mapping[str, str] = {
    "word": "prompt",
    "translation": "prompt",
    "width": "size",
    "height": "size",
    "batch_size": "n",
    "preset": "quality",
    "format": "output_format",
}
"""What OpenAI calls our fields."""

_SEPARATOR = re.compile(
    r"\s*[\u2012-\u2015\u2E3A\u2E3B\uFE31\uFE58]+\s*"  # figure dash, en dash, em dash, bar, and wider ones
    r"|\s+[-\u2010\u2011\u2212\uFE63\uFF0D]+\s+"  # hyphens and minus, which stand inside of words, too
    r"|\s*(?<!\d):\s*|\s*:(?!\d)\s*"  # but not 12:30
    r"|\s*[\uFF1A=\uFF1D\u2192\t\n]\s*"  # wide colon, equals signs, an arrow, a tab, a line break
)


def split_prompt(prompt: str) -> tuple[str, str]:
    """ "学习 — study" → ("学习", "study"): parted at the first dash, colon, equals sign or line break.

    Hyphens count only between spaces, and colons not between digits. Without a separator, or with nothing on one side
    of the first one, all of it is the word.
    """
    text = prompt.strip()
    found = _SEPARATOR.search(text)
    if found is None or not text[: found.start()] or not text[found.end() :]:
        return text, ""
    return text[: found.start()], text[found.end() :]


def _size(value: object) -> object:
    if value is None or (isinstance(value, str) and re.fullmatch(r"auto|\d{1,5}x\d{1,5}", value)):
        return value
    raise ValueError("must be auto or WIDTHxHEIGHT, such as 1024x1024")


class ImageGenerationRequest(BaseModel):
    """As `client.images.generate` of OpenAI's SDK sends it.

    Every field of `/api/writing/generate-writing-image` may stand beside these (`extra_body` in the SDK) and goes
    before what is said here; OpenAI's `user`, `moderation` and `background` change nothing.
    """

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra={"examples": [{"prompt": "学习 — study", "size": "1024x1024", "n": 1}]},
    )

    prompt: Text = Field(
        min_length=1,
        max_length=1000,
        description="the word, a dash (or colon, or equals sign), its meaning; with the field `word`, only that",
        examples=["学习 — study"],
    )
    model: str | None = Field(
        None,
        max_length=200,
        description="one of GET /v1/models; OpenAI's own names (dall-e-3, gpt-image-1, ...) stand for the first",
        examples=[OURS],
    )
    n: Annotated[int, Field(ge=1, le=8)] | None = Field(
        None, description="pictures, of seeds one apart", examples=[1]
    )
    size: Annotated[str, BeforeValidator(_size)] | None = Field(
        None,
        max_length=11,
        description="auto (the model's own size) or WIDTHxHEIGHT, each 100 to 2048",
        examples=["1024x1024"],
    )
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = Field(
        None,
        description="low is the preset `fast`; medium and standard are `balanced`; high and hd are `quality`",
        examples=["high"],
    )
    style: Text | None = Field(
        None,
        max_length=200,
        description="comic, watercolor, realistic, ink, traditional, or free text; comic when not given",
        examples=["ink"],
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None,
        description="b64_json when not given; url is a data: URL with the picture itself, for nothing is kept here",
        examples=["b64_json"],
    )
    output_format: ImageFormat | None = Field(
        None, description="png when not given", examples=[ImageFormat.PNG]
    )
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, description="the quality of jpeg and webp, 90 when not given", examples=[90]
    )
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(
        None, description="the same seed, the same picture; random when not given", examples=[7]
    )
    stream: bool | None = Field(
        None,
        description="only false: progress is told by /api/writing/jobs",
        examples=[False],
    )

    def to_writing(self) -> WritingImageRequest:
        """The same in our own words. Raises InvalidRequest, which names fields as OpenAI does."""
        if self.stream:
            raise _invalid("stream", "Pictures are not streamed here; leave 'stream' out.")
        extras = dict(self.model_extra or {})
        if extras.pop("background", None) == "transparent":
            raise _invalid("background", "Backgrounds are painted here; leave 'background' out.")
        for ignored in ("user", "moderation"):
            extras.pop(ignored, None)
        said = {name: value for name, value in self._said() if value is not None}
        fields = {**said, **self._words(extras), **extras, "include_prompt": True}
        try:
            return WritingImageRequest.model_validate(fields)
        except ValidationError as error:
            raise InvalidRequest(*complaints(error)) from None

    def _words(self, extras: Mapping[str, Any]) -> dict[str, Any]:
        word, meaning = split_prompt(self.prompt)
        if "word" in extras and extras["word"] != word:
            return {"translation": self.prompt}
        return {"word": word, "translation": meaning}

    def _said(self) -> Iterator[tuple[str, Any]]:
        """By our names; None where nothing is said."""
        width, _, height = (self.size or "auto").partition("x")
        yield from ((("width", int(width)), ("height", int(height))) if height else ())
        yield "batch_size", self.n
        yield "style", self.style
        yield "preset", PRESETS.get(self.quality or "")
        yield "format", self.output_format
        yield "seed", self.seed
        # Our scale begins at 1.
        compression = self.output_compression
        yield "quality", None if compression is None else max(1, compression)


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, [FieldError(field, message)])


class GeneratedPicture(BaseModel):
    """One picture."""

    b64_json: str | None = Field(None, description="the file, base64", examples=["iVBORw0KGgo..."])
    url: str | None = Field(
        None,
        description="the same as a data: URL, in its place",
        examples=["data:image/png;base64,iVBORw0KGgo..."],
    )
    revised_prompt: str = Field(
        description="what the models were told",
        examples=["A vibrant comic book style illustration of ..."],
    )
    seed: int = Field(ge=0, description="draws it again", examples=[7])


class ImagesResponse(BaseModel):
    """Pictures as OpenAI's SDK reads them; `seed` and `warnings` are more than it knows."""

    created: int = Field(ge=0, description="Unix time, in seconds", examples=[1767225600])
    data: list[GeneratedPicture] = Field(description="in the order of their seeds", examples=[[]])
    background: Literal["opaque"] = Field(
        default="opaque", description="always", examples=["opaque"]
    )
    output_format: ImageFormat = Field(description="of the files", examples=[ImageFormat.PNG])
    size: str = Field(description="WIDTHxHEIGHT", examples=["1024x1024"])
    quality: str = Field(description="as it was asked for, else auto", examples=["auto"])
    warnings: list[str] = Field(description="what was not as it may have been meant", examples=[[]])


class Model(BaseModel):
    """A name that `model` may have."""

    id: str = Field(description="the name", examples=[OURS])
    object: Literal["model"] = Field(
        default="model", description="what this is", examples=["model"]
    )
    created: int = Field(
        ge=0, description="Unix time of the service's start", examples=[1767225600]
    )
    owned_by: str = Field(default=OURS, description="whose it is", examples=[OURS])


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = Field(default="list", description="what this is", examples=["list"])
    data: list[Model] = Field(description="the configured pipeline and its alias", examples=[[]])


def stands_for(model: str | None, ours: str) -> bool:
    """Whether a request that names it means the pipeline here."""
    return model is None or model in (ours, OURS) or model.startswith(_OPENAI_MODELS)
