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

    word: Annotated[str, AfterValidator(_word)] = Field(
        description="what is written: 1 to 50 characters as a person counts them, in any script",
        examples=["学习"],
        json_schema_extra={"minLength": 1},
    )
    translation: Text = Field(
        "",
        max_length=200,
        description="the meaning to depict; a Chinese word's is looked up when it is not given",
        examples=["study"],
    )
    hint_writing: Text = Field(
        "",
        max_length=300,
        description="the learner's own mnemonic, woven into the prompt",
        examples=["a child under a roof"],
    )
    language: Text = Field(
        "auto",
        max_length=100,
        description="a name (chinese), an ISO code (zh, zh-tw) or auto; Han takes its shapes",
        examples=["chinese"],
    )
    style: Annotated[Text, AfterValidator(_not_blank)] = Field(
        "comic",
        max_length=200,
        description="comic, watercolor, realistic, ink, traditional, or free text",
        examples=["ink"],
    )
    width: Side | None = Field(
        None,
        description="pixels; the answer has exactly this size; the configuration's when not given",
        examples=[512],
    )
    height: Side | None = Field(None, description="pixels, as width", examples=[512])
    num_inference_steps: Steps | None = Field(
        None,
        description="more are slower and finer; the preset's, the configuration's or the style's when not given",
        examples=[6],
    )
    guidance_scale: Guidance | None = Field(
        None,
        description="how closely the prompt is followed; found as the steps are when not given",
        examples=[2.0],
    )
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(
        None,
        description="the same seed gives the same picture; random when not given",
        examples=[7],
    )
    batch_size: Annotated[int, Field(ge=1, le=8)] | None = Field(
        None,
        description="pictures, of seeds seed, seed+1, ...; 1 when not given",
        examples=[1],
    )
    conditioning_weights: dict[ConditioningKind, Weight] = Field(
        {},
        description="by kind: how tightly it holds the picture, 0 switches that ControlNet off; the style's when "
        "not given",
        examples=[{"canny": 0.9, "depth": 0}],
    )
    conditioning_methods: dict[ConditioningKind, str] = Field(
        {},
        description="by kind, a method's name as GET /api/writing/status lists them; the seed's choice when not given",
        examples=[{"depth": "multi_layer_depth"}],
    )
    pictogram: Text = Field(
        "auto",
        max_length=200,
        description="the art behind the word: auto (found by the meaning), off, or a concept's name",
        examples=["auto"],
    )
    text_direction: TextDirection = Field(
        TextDirection.AUTO,
        description="auto (as the script is written), horizontal or vertical",
        examples=[TextDirection.AUTO],
    )
    preset: Text | None = Field(
        None,
        max_length=100,
        description="quality, balanced or fast: how much the steps leave out to be quicker",
        examples=["fast"],
    )
    conditioning_windows: dict[ConditioningKind, WindowFractions] = Field(
        {},
        description="by kind, the fractions of the steps between which that ControlNet takes part",
        examples=[{"depth": [0.0, 0.5]}],
    )
    include_conditioning_images: bool = Field(
        False, description="give the plain word and the control images too", examples=[False]
    )
    include_prompt: bool = Field(
        False, description="tell what the models were told", examples=[True]
    )
    include_semantic_analysis: bool = Field(
        False, description="tell what the word was taken to mean, and from what", examples=[False]
    )
    format: Annotated[ImageFormat, BeforeValidator(_format)] = Field(
        ImageFormat.PNG, description="of the files; a PNG tells how it was made", examples=["png"]
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(
        90, description="for jpeg and webp", examples=[90]
    )

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

    success: bool = Field(description="true; errors are problems", examples=[True])
    status: str = Field(description="SUCCESS", examples=["SUCCESS"])
    generated_image_base64: str = Field(
        description="the first picture's file", examples=["iVBORw0KGgo..."]
    )
    images_base64: list[str] = Field(
        description="all of them, in the order of their seeds", examples=[["iVBORw0KGgo..."]]
    )
    base_image_base64: str | None = Field(
        description="the plain word, a PNG; with include_conditioning_images, else null",
        examples=[None],
    )
    conditioning_images_base64: dict[str, dict[str, str]] = Field(
        description="PNGs by kind and method; with include_conditioning_images, else empty",
        examples=[{"canny": {"opencv_canny": "iVBORw0KGgo..."}}],
    )
    prompt_used: str | None = Field(
        description="with include_prompt, else null",
        examples=["A vibrant comic book style illustration of study, ..."],
    )
    semantic_analysis: dict[str, Any] | None = Field(
        description="what the word was taken to mean, and from what; with include_semantic_analysis, else null",
        examples=[{"subject": "study", "source": "translation"}],
    )
    generation_metadata: dict[str, Any] = Field(
        description="all that the picture was made from: character, translation, language, script, style, seed_used, "
        "model_used, methods, weights, steps, sizes, pictogram_used, legibility, and generation_time_ms by stage",
        examples=[
            {
                "character": "学习",
                "seed_used": 7,
                "model_used": "embedded",
                "generation_time_ms": 1733.1,
                "stage_times_ms": {"render": 41.0, "denoise": 1450.2, "decode": 201.7},
                "conditioning_methods_used": {"canny": ["opencv_canny"]},
                "pictogram_used": {"name": "books", "source": "Fluent Emoji 3D 1f4da (MIT)"},
                "legibility": {"score": 0.98, "passed": True},
            }
        ],
    )
    format: ImageFormat = Field(description="of the pictures", examples=[ImageFormat.PNG])
    error: None = Field(default=None, description="null; errors are problems", examples=[None])
    warnings: list[str] = Field(
        description="what was not as it may have been meant, in sentences", examples=[[]]
    )


class ProblemField(BaseModel):
    """One field of a request and what is wrong with it."""

    field: str = Field(description="its path", examples=["conditioning_weights.canny"])
    message: str = Field(description="one sentence", examples=["Field 'word' is missing."])


class Problem(BaseModel):
    """An error as RFC 9457 has it, with the keys that clients read."""

    type: str = Field(description="about:blank", examples=["about:blank"])
    title: str = Field(description="the status in words", examples=["Unprocessable Content"])
    status: int = Field(ge=400, le=599, description="of the answer", examples=[422])
    detail: str = Field(description="as error", examples=["Field 'word' is missing."])
    success: bool = Field(default=False, description="always false", examples=[False])
    error: str = Field(
        description="one sentence that a person can act on", examples=["Field 'word' is missing."]
    )
    errors: list[ProblemField] | None = Field(
        None,
        description="by field, where the request is wrong",
        examples=[[{"field": "word", "message": "Field 'word' is missing."}]],
    )
    error_id: str | None = Field(
        None, description="also in the log; for status 500", examples=["3f9c2b7a1d04"]
    )
