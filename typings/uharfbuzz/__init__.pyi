"""The part of uharfbuzz that is used here; it calls itself typed, but is compiled without types."""

from collections.abc import Sequence
from typing import Self

class Blob:
    @classmethod
    def from_file_path(cls, filename: str) -> Self: ...

class Face:
    def __init__(self, blob: Blob | bytes, index: int = 0) -> None: ...
    @property
    def unicodes(self) -> set[int]: ...

class GlyphExtents:
    x_bearing: int
    y_bearing: int
    width: int
    height: int

class Font:
    scale: tuple[int, int]
    synthetic_bold: tuple[float, float, bool]
    def __init__(self, face: Face) -> None: ...
    def get_glyph_extents(self, gid: int) -> GlyphExtents | None: ...

class GlyphInfo:
    codepoint: int
    cluster: int

class GlyphPosition:
    x_advance: int
    y_advance: int
    x_offset: int
    y_offset: int

class Buffer:
    direction: str
    language: str
    script: str
    def add_str(self, text: str) -> None: ...
    def guess_segment_properties(self) -> None: ...
    @property
    def glyph_infos(self) -> Sequence[GlyphInfo]: ...
    @property
    def glyph_positions(self) -> Sequence[GlyphPosition]: ...

def shape(font: Font, buffer: Buffer, features: dict[str, bool | int] | None = None) -> None: ...

class RasterExtents:
    stride: int
    def __init__(
        self, x_origin: int, y_origin: int, width: int, height: int, stride: int
    ) -> None: ...

class RasterImage:
    buffer: bytes
    extents: RasterExtents

class RasterDraw:
    extents: RasterExtents
    transform: tuple[float, float, float, float, float, float]
    def draw_glyph(self, font: Font, glyph: int) -> None: ...
    def render(self) -> RasterImage | None: ...
