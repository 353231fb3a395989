"""A real Chromium, headless, that can reach nothing but the page it is given."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def program() -> str | None:
    """Path of Chromium: ``CHROMIUM``, one on the path, or the one that Playwright fetched; ``None`` without any."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if named is not None:
        return named
    with sync_playwright() as playwright:
        fetched = playwright.chromium.executable_path
    return fetched if Path(fetched).exists() else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own.

    Raises:
        RuntimeError: none is installed; ``make test`` sees to that (``.ci/browser``).
    """
    path = program()
    if path is None:
        raise RuntimeError("Chromium is not installed: run .ci/browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(0 if program() else 1)
