"""Draw every conditioning method for words of ten scripts, into docs/conditioning. Run by `make gallery`.

One picture a kind: a row a word, a column a method, the methods' names above.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from writing_service.conditioning.fan_out import build_fan_out
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.types import Scene, Size

OUT = Path("docs/conditioning")
WORDS = (
    "学习",
    "明",
    "猫",
    "слово",
    "العربية",
    "हिन्दी",
    "ภาษา",
    "ᠮᠣᠩᠭᠣᠯ",
    "\ue000\ue040\ue001\ue044",  # Tengwar
    "\uf8d6\uf8d7\uf8d9\uf8d0\uf8db",  # Klingon
)
SIDE, CELL, HEADING = 512, 176, 18
STYLE, SEED = "ink", 3


def main() -> None:
    """All four kinds; the same fonts give the same files."""
    composer = SceneComposer(WordRenderer(FontLibrary()))
    scenes = [composer.compose(word, "auto", Size(SIDE, SIDE), None, SEED) for word in WORDS]
    OUT.mkdir(parents=True, exist_ok=True)
    fan_out = build_fan_out()
    for kind, names in fan_out.methods().items():
        columns = [
            [fan_out.draw(scene, kind, name, SEED, STYLE).image for scene in scenes]
            for name in names
        ]
        path = OUT / f"{kind.value}.webp"
        sheet(scenes, names, columns).save(path, quality=80)
        print(path)


def sheet(
    scenes: list[Scene], names: tuple[str, ...], columns: list[list[Image.Image]]
) -> Image.Image:
    """The plain words, then a column a method."""
    whole = Image.new("RGB", (CELL * (len(names) + 1), HEADING + CELL * len(scenes)), "white")
    pen = ImageDraw.Draw(whole)
    font = ImageFont.load_default(10)
    plain = [scene.word.image for scene in scenes]
    for x, (name, column) in enumerate(zip(("the word", *names), [plain, *columns], strict=True)):
        pen.text((x * CELL + 4, 3), name, "black", font)
        for y, image in enumerate(column):
            small = image.resize((CELL, CELL), Image.Resampling.LANCZOS)
            whole.paste(small, (x * CELL, HEADING + y * CELL))
    return whole


if __name__ == "__main__":
    main()
