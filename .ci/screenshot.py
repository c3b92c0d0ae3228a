"""Make docs/screenshot.png again: run the demo in an empty directory, and photograph one page of its site."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "docs" / "screenshot.png"
PAGE = "plugins/volume-by-category/index.html"
SIZE = {"width": 960, "height": 905}
"""Pixels of the browser's window: the page down to its chart, on a screen of a laptop."""


def main() -> None:
    """Run the demo, which takes about a minute, and write the image."""
    program = shutil.which("chromium-headless-shell")
    if program is None:
        sys.exit("no browser is installed (Debian: chromium-headless-shell)")
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, "-m", "statscache", "demo"], cwd=directory, check=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
            page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
            # As a file, the page has the chart that is part of it, without the scripts that redraw it.
            page.goto((Path(directory) / "public" / PAGE).as_uri())
            page.screenshot(path=IMAGE)
            browser.close()
    print(f"{IMAGE.relative_to(ROOT)}: {IMAGE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
