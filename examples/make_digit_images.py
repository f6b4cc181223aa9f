"""Makes the images of image_module.py: the ten digits, drawn in each face of the DejaVu fonts that this machine has.

They are pictures of printed digits, not handwriting: one row for each face, one column for each digit, 20 by 20 grey
pixels each, in one PNG file. Needs Pillow and NumPy, and takes a second::

    python examples/make_digit_images.py /usr/share/fonts/truetype/dejavu
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DATA = Path(__file__).parent / "data"
SIZE = 20


def draw(digit: str, font_file: Path) -> np.ndarray:
    """One digit, white on black, in the middle: uint8 [SIZE, SIZE]."""
    font = ImageFont.truetype(str(font_file), 18)
    image = Image.new("L", (SIZE, SIZE))
    left, top, right, bottom = font.getbbox(digit)
    corner = ((SIZE - right - left) // 2, (SIZE - bottom - top) // 2)
    ImageDraw.Draw(image).text(corner, digit, fill=255, font=font)
    return np.array(image)


def main() -> None:
    font_files = sorted(Path(sys.argv[1]).glob("DejaVu*.ttf"), key=lambda path: ("Serif" in path.stem, path.stem))
    rows = [np.hstack([draw(digit, font_file) for digit in "0123456789"]) for font_file in font_files]
    Image.fromarray(np.vstack(rows)).save(DATA / "digits.png", optimize=True)
    (DATA / "digits.txt").write_text("".join(f"{path.stem}\n" for path in font_files), encoding="utf-8")
    print(f"{len(rows)} faces of {SIZE}x{SIZE} digits")


if __name__ == "__main__":
    main()
