"""Draw pictures of the README and of the studio with the shipped checkpoint. `make gallery` draws all of them.

    python scripts/gallery.py                   all
    python scripts/gallery.py styles studio     these alone

styles        docs/pictures/styles.webp: a row a word, a column a style
seeds         docs/pictures/seeds.webp: one word, one style, eight seeds
conditioning  docs/pictures/conditioning.webp: a plain word, its four control images, the picture
studio        writing_service/studio/static/styles/NAME.webp: one word in each style, for choosing among them
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from writing_service.app import create_generator
from writing_service.config import load_settings
from writing_service.generator import AIImageGenerator
from writing_service.types import AIGenerationResult, WritingRequest

OUT = Path("docs/pictures")
STUDIO = Path("writing_service/studio/static/styles")
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


async def main(wanted: Sequence[str]) -> None:
    """The wanted ones; the same checkpoint and machine give the same files."""
    generator = create_generator(load_settings())
    for name in wanted:
        await GALLERIES[name](generator)
    generator.close()


async def draw_styles(generator: AIImageGenerator) -> None:
    """Eight words in five styles."""
    rows = [
        [picture(await draw(generator, *word, style, 5 + n)) for style in STYLES]
        for n, word in enumerate(WORDS)
    ]
    save(OUT / "styles.webp", grid(rows))


async def draw_seeds(generator: AIImageGenerator) -> None:
    """One word, eight times."""
    seeds = [picture(await draw(generator, "茶", "tea", "watercolor", seed)) for seed in range(8)]
    save(OUT / "seeds.webp", grid([seeds[:4], seeds[4:]]))


async def draw_conditioning(generator: AIImageGenerator) -> None:
    """What one picture is made from."""
    result = await draw(generator, *WORDS[0], "traditional", 5)
    save(OUT / "conditioning.webp", grid([steps_of(result)]))


async def draw_studio(generator: AIImageGenerator) -> None:
    """A small picture a style."""
    for style in STYLES:
        one = picture(await draw(generator, "花", "flower", style, 5))
        save(STUDIO / f"{style}.webp", grid([[one]]))


GALLERIES = {
    "styles": draw_styles,
    "seeds": draw_seeds,
    "conditioning": draw_conditioning,
    "studio": draw_studio,
}


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


def save(path: Path, image: Image.Image) -> None:
    """As WebP, and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=85)
    print(path)


def wanted_galleries() -> list[str]:
    """As the command line names them; all when it names none."""
    parser = argparse.ArgumentParser(description="Draw pictures of the README and the studio.")
    parser.add_argument("gallery", nargs="*", help=", ".join(GALLERIES))
    names: list[str] = parser.parse_args().gallery or list(GALLERIES)
    if unknown := [name for name in names if name not in GALLERIES]:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(GALLERIES)}")
    return names


if __name__ == "__main__":
    asyncio.run(main(wanted_galleries()))
