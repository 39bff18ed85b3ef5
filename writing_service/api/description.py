"""What the documents at /api/docs and /api/redoc tell before the routes."""

from typing import Any

TITLE = "Writing Service"

DESCRIPTION = """\
A word in any script becomes a picture whose strokes are the word and whose subject is its meaning.

1. **See that it is there.** `GET /health/ready` says whether a picture would be drawn now; `GET /api/writing/status`
   lists styles, methods, presets and sizes.
2. **Ask for a picture.** `POST /api/writing/generate-writing-image` with `{"word": "学习", "translation": "study"}`.
   Only `word` is required. The picture comes as base64 in JSON, with all that it was made from; from
   `generate-writing-image-binary` it comes as the file itself.
3. **Ask for it again.** The answer tells its `seed_used`; the same request with that `seed` gives the same picture. A
   PNG carries its parameters inside.
4. **Steer it.** `style`, `hint_writing` and `pictogram` say what is shown; `conditioning_weights` and
   `conditioning_methods` how tightly the word is held; `preset` and `num_inference_steps` how long it takes.
5. **Read what went otherwise.** `warnings` are sentences for people. An error is `application/problem+json`, whose
   `error` is one sentence that says what to do; under `/v1` it has OpenAI's shape.

Fields that the service does not know are named in `warnings` and ignored, so that clients may be newer or older.
"""

TAGS: list[dict[str, Any]] = [
    {"name": "writing", "description": "Pictures of words, and what can be asked for."},
    {"name": "jobs", "description": "Long work: started, watched, cancelled, fetched later."},
    {
        "name": "openai",
        "description": "The same in the shape of OpenAI's images API, for its SDK and what is built on it.",
    },
    {"name": "health", "description": "For monitoring: alive, ready, in detail; warming up."},
]
