"""Where this machine keeps its Chromium. As a script: prints it, or fails."""

import os
import shutil
from pathlib import Path


def find_chromium() -> str | None:
    """CHROMIUM_PATH, then Playwright's download, then a system Chromium, Chrome or Edge; None for none."""
    if named := os.environ.get("CHROMIUM_PATH"):
        return named
    folders = [Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or "~/.cache/ms-playwright").expanduser()]
    folders.append(Path("~/Library/Caches/ms-playwright").expanduser())
    for folder in folders:
        for pattern in (
            "chromium_headless_shell-*/chrome-*/*headless*shell",
            "chromium-*/chrome-linux*/chrome",
            "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
        ):
            if found := sorted(folder.glob(pattern)):
                return str(found[-1])
    for name in (
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
        "microsoft-edge",
    ):
        if on_path := shutil.which(name):
            return on_path
    for application in ("Google Chrome", "Chromium"):
        path = Path(f"/Applications/{application}.app/Contents/MacOS/{application}")
        if path.exists():
            return str(path)
    return None


if __name__ == "__main__":
    raise SystemExit(0 if find_chromium() else "no Chromium found")
