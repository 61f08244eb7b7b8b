# SPDX-License-Identifier: Apache-2.0
"""A picture of a page as Chromium shows it: `python docs/pictures.py PAGE.html PICTURE.png [WIDTH HEIGHT]`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def picture(page: Path, output: Path, width: int = 1100, height: int = 1000) -> None:
    """Write the top of `page` into `output`, in its light colours."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is there to look at the page with")
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--blink-settings=preferredColorScheme=1",
            f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={output.resolve()}",
        ]  # fmt: skip
        subprocess.run([browser, *options, page.resolve().as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    places, sizes = sys.argv[1:3], sys.argv[3:5]
    picture(Path(places[0]), Path(places[1]), *map(int, sizes))
