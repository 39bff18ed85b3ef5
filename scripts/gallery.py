"""Draw the README's pictures with the shipped checkpoint, into docs/pictures. Run by `make gallery`.

styles.webp        a row a word, a column a style
seeds.webp         one word, one style, eight seeds
conditioning.webp  a plain word, its four control images, the picture
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from writing_service.app import create_generator
from writing_service.config import load_settings
from writing_service.generator import AIImageGenerator
from writing_service.types import AIGenerationResult, WritingRequest

OUT = Path("docs/pictures")
STYLES = ("comic", "watercolor", "realistic", "ink", "traditional")
WORDS = (
    ("学习", "study"),
    ("猫", "cat"),
    ("さくら", "cherry blossom"),
    ("사랑", "love"),
    ("سلام", "peace"),
    ("कमल", "lotus"),
    ("дом", "house"),
    ("ปลา", "fish"),
)
SIDE = 512
CELL = 256


async def main() -> None:
    """All of them; the same checkpoint and machine give the same files."""
    generator = create_generator(load_settings())
    rows = [
        [await draw(generator, *word, style, 5 + n) for style in STYLES]
        for n, word in enumerate(WORDS)
    ]
    save("styles", grid([[picture(one) for one in row] for row in rows]))
    seeds = [picture(await draw(generator, "茶", "tea", "watercolor", seed)) for seed in range(8)]
    save("seeds", grid([seeds[:4], seeds[4:]]))
    save("conditioning", grid([steps_of(rows[0][4])]))
    generator.close()


async def draw(
    generator: AIImageGenerator, word: str, translation: str, style: str, seed: int
) -> AIGenerationResult:
    """One request, as a client would make it."""
    return await generator.generate(
        WritingRequest(word, translation, style=style, seed=seed, width=SIDE, height=SIDE)
    )


def picture(result: AIGenerationResult) -> Image.Image:
    """The first one."""
    return result.images[0].image


def steps_of(result: AIGenerationResult) -> list[Image.Image]:
    """What a picture was made from, and the picture."""
    controls = [one.image for one in result.control_images.values()]
    return [result.scene.word.image, *controls, picture(result)]


def grid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Cells of one size, edge to edge."""
    whole = Image.new("RGB", (CELL * len(rows[0]), CELL * len(rows)))
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            small = cell.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
            whole.paste(small, (x * CELL, y * CELL))
    return whole


def save(name: str, image: Image.Image) -> None:
    """As WebP, and say where."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.webp"
    image.save(path, quality=85)
    print(path)


if __name__ == "__main__":
    asyncio.run(main())
