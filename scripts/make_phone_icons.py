"""Draws the phone app's PNG icons from icons/icon.svg; run by hand after the drawing changed, the results are committed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ICONS = Path(__file__).resolve().parent.parent / "portal" / "static" / "mpos" / "icons"


def main() -> None:
    """Writes icon-192.png, icon-512.png and a maskable one, whose drawing keeps to the inner four fifths of a full square."""
    drawing = (ICONS / "icon.svg").read_text(encoding="utf-8")
    maskable = drawing.replace(' rx="108"', "").replace("<path ", '<path transform="translate(64 64) scale(.75)" ')
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for name, source, size in (("icon-192", drawing, 192), ("icon-512", drawing, 512), ("icon-maskable-512", maskable, 512)):
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(f"<style>*{{margin:0}}svg{{display:block;width:{size}px}}</style>{source}")
            _save(page.screenshot(omit_background=True), ICONS / f"{name}.png")
        browser.close()


def _save(drawn: bytes, path: Path) -> None:
    """In 48 colours: a third of the bytes, for a phone that installs the app over a bad line."""
    picture = Image.open(BytesIO(drawn)).convert("RGBA")
    picture.quantize(48, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)


if __name__ == "__main__":
    main()
