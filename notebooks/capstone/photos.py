"""Resize photos: put yours into `photos/` beside this file; without any, it makes some."""

import io
from pathlib import Path

from PIL import Image

DATA = Path(__file__).parent / "data"  # it becomes part of the image
MINE = Path("photos")


def items():
    """Copy the photos to the data folder; an item is the name of one."""
    DATA.mkdir(exist_ok=True)
    for path in MINE.glob("*.jp*g"):
        (DATA / path.name).write_bytes(path.read_bytes())
    if not any(DATA.iterdir()):
        noise = Image.effect_noise((3000, 2000), 60)
        for number in range(24):
            parts = [noise.rotate(number * 15 + shift) for shift in (0, 40, 80)]
            Image.merge("RGB", parts).save(DATA / f"{number:02}.jpg")
    return sorted(path.name for path in DATA.iterdir())


def process(item):
    """Make a photo small: a PNG of at most 96 × 96 pixels."""
    with Image.open(DATA / item.decode()) as photo:
        small = photo.convert("RGB")
        small.thumbnail((96, 96), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "PNG")
    return file.getvalue()


def combine(results):
    """Put the small photos on one sheet, save it, and say how large it is."""
    sheet = Image.new("RGB", (6 * 100, (len(results) + 5) // 6 * 100))
    for place, result in enumerate(results):
        sheet.paste(Image.open(io.BytesIO(result)), (place % 6 * 100, place // 6 * 100))
    sheet.save("sheet.png")
    return f"{len(results)} photos on sheet.png, {sheet.width} × {sheet.height} pixels"
