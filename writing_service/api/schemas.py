"""What goes over the wire: the request, the answer, the problem. Names are fixed; clients rely on them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from writing_service.config import Guidance, Side, Steps, Weight, WindowFractions
from writing_service.errors import FieldError, InvalidRequest
from writing_service.rendering.words import checked_word
from writing_service.types import ConditioningKind, ImageFormat, TextDirection, WritingRequest

LARGEST_SEED = 2**63 - 1


def _word(text: str) -> str:
    """As it was sent: the generator cleans it and tells what it dropped. Pydantic wants ValueErrors."""
    try:
        checked_word(text)
    except InvalidRequest as error:
        raise ValueError(str(error)) from None
    return text


def _encodable(text: str) -> str:
    """JSON can spell half a surrogate pair, which is no text and breaks whoever writes it down."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("holds half of a surrogate pair; send valid Unicode text")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty; leave it out for the default")
    return text


def _format(value: object) -> object:
    """ "JPG" is what many call it."""
    if not isinstance(value, str):
        return value
    name = value.strip().casefold()
    return "jpeg" if name == "jpg" else name


Text = Annotated[str, AfterValidator(_encodable)]


class WritingImageRequest(BaseModel):
    """A word to draw. Only `word` is required; fields that the service does not know are ignored with a warning."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"word": "学习", "translation": "study", "style": "traditional", "seed": 7}
            ]
        },
    )

    word: Annotated[str, AfterValidator(_word), Field(description="1 to 50 characters, any script")]
    translation: Text = Field("", max_length=200, description="the meaning to depict")
    hint_writing: Text = Field("", max_length=300, description="the learner's own mnemonic")
    language: Text = Field("auto", max_length=100, description="a name, an ISO code, or auto")
    style: Annotated[Text, AfterValidator(_not_blank)] = Field(
        "comic",
        max_length=200,
        description="comic, watercolor, realistic, ink, traditional, or free text",
    )
    width: Side | None = Field(None, description="pixels; the answer has exactly this size")
    height: Side | None = None
    num_inference_steps: Steps | None = Field(None, description="the style's, when not given")
    guidance_scale: Guidance | None = Field(None, description="the style's, when not given")
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(
        None, description="the same seed gives the same picture; random when not given"
    )
    batch_size: Annotated[int, Field(ge=1, le=8)] | None = Field(
        None, description="pictures of seeds seed, seed+1, ...; 1 when not given"
    )
    conditioning_weights: dict[ConditioningKind, Weight] = Field(
        {}, description="0 switches that ControlNet off"
    )
    conditioning_methods: dict[ConditioningKind, str] = Field(
        {}, description="by kind; GET /api/writing/status lists them"
    )
    pictogram: Text = Field("auto", max_length=200, description="auto, off, or a concept's name")
    text_direction: TextDirection = Field(
        TextDirection.AUTO, description="auto (as the script is written), horizontal or vertical"
    )
    preset: Text | None = Field(
        None,
        max_length=100,
        description="quality, balanced or fast: how much the steps leave out to be quicker",
    )
    conditioning_windows: dict[ConditioningKind, WindowFractions] = Field(
        {},
        description="by kind, the fractions of the steps between which that ControlNet takes part",
        examples=[{"depth": [0.0, 0.5]}],
    )
    include_conditioning_images: bool = False
    include_prompt: bool = False
    include_semantic_analysis: bool = False
    format: Annotated[ImageFormat, BeforeValidator(_format)] = ImageFormat.PNG
    quality: Annotated[int, Field(ge=1, le=100)] = Field(90, description="for jpeg and webp")

    def to_request(self) -> WritingRequest:
        """As the generator takes it."""
        return WritingRequest(
            self.word,
            self.translation,
            self.hint_writing,
            self.language,
            self.style,
            self.width,
            self.height,
            self.num_inference_steps,
            self.guidance_scale,
            self.seed,
            self.batch_size,
            self.conditioning_weights,
            self.conditioning_methods,
            self.pictogram,
            self.text_direction,
            self.preset,
            self.conditioning_windows,
        )

    def unknown_fields(self) -> tuple[str, ...]:
        """Names of fields that the service does not know."""
        return tuple(self.model_extra or {})


def checked_request(fields: Mapping[str, object]) -> WritingRequest:
    """A request from elsewhere than HTTP, within the same bounds. Raises InvalidRequest, in one sentence."""
    try:
        return WritingImageRequest.model_validate(fields).to_request()
    except ValidationError as error:
        raise InvalidRequest(*complaints(error)) from None


def complaints(error: ValidationError) -> tuple[str, list[FieldError]]:
    """What a request's first wrong field is, in one sentence, and which."""
    first = error.errors(include_url=False)[0]
    name, what = str(first["loc"][0]), first["msg"].removeprefix("Value error, ").rstrip(".")
    what = what.removeprefix("Input ").removeprefix("String ")
    sentence = f"{what}." if name == "word" else f"'{name}' {what[:1].lower()}{what[1:]}."
    return sentence, [FieldError(name, sentence)]


class WritingImageResponse(BaseModel):
    """The picture and what it was made from. Every key is always there."""

    success: bool
    status: str
    generated_image_base64: str
    images_base64: list[str]
    base_image_base64: str | None
    conditioning_images_base64: dict[str, dict[str, str]]
    prompt_used: str | None
    semantic_analysis: dict[str, Any] | None
    generation_metadata: dict[str, Any]
    format: ImageFormat
    error: None = None
    warnings: list[str]


class ProblemField(BaseModel):
    """One field of a request and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 has it, with the keys that clients read."""

    type: str
    title: str
    status: int
    detail: str
    success: bool = False
    error: str
    errors: list[ProblemField] | None = None
    error_id: str | None = Field(None, description="also in the log; for status 500")
