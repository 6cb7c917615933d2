"""A process of its own that decodes what a stranger sent, so that a bad file harms only it.

python -m roadanomaly.serve.decode_worker IN OUT_FOLDER

Writes `image.png`, or `clip.mp4` of at most `MOST_FRAMES` frames, and prints `CUT` where the clip
has more; complains in one line.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

from roadanomaly.data.image_arrays import SUFFIXES, read_array, scale_image, write_image
from roadanomaly.errors import UserError
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from roadanomaly.video.writer import VideoWriter

MOST_FRAMES = 250
CUT = "cut"
"""What it says of a clip with more frames."""

LONGEST_SIDE = 1280
MOST_PIXELS = 50_000_000
LIMITS = {
    resource.RLIMIT_CPU: 60,
    resource.RLIMIT_AS: 4 << 30,
    resource.RLIMIT_FSIZE: 1 << 30,
    resource.RLIMIT_CORE: 0,
}
"""Seconds, and bytes of memory, of a file and of a core dump."""

ENVIRONMENT = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(MOST_PIXELS)}
"""What it must be started with, for headers that lie: OpenCV reads this when it is loaded."""


def main(given: Path, out: Path) -> bool:
    """Decode an image or a clip.

    Returns:
        whether a clip has more frames than are taken.

    Raises:
        UserError: it is neither, or what was decoded cannot be written.
    """
    for what, most in LIMITS.items():
        with contextlib.suppress(ValueError):  # it is lower already
            resource.setrlimit(what, (most, most))
    if given.suffix.lower() in SUFFIXES:
        image = read_array(given, MOST_PIXELS)
        write_image(out / "image.png", scale_image(image, _bounded(image.shape[:2])))
        return False
    return _decode_clip(given, out)


def _decode_clip(given: Path, out: Path) -> bool:
    source = open_source(str(given), Reading(most_pixels=MOST_PIXELS, sealed=True))
    size = _bounded(source.size)
    writer = VideoWriter(out / "clip.mp4", size, source.fps)
    cut = False
    for frame in source.frames(size):
        if frame.number >= MOST_FRAMES:
            cut = True
            break
        writer.write(frame.image, frame.time_s)
    writer.close()
    if writer.fault:
        msg = f"what was decoded cannot be kept: {writer.fault.replace(f'{out}/', '')}"
        raise UserError(msg)
    if not writer.frames:
        (out / "clip.mp4").unlink()
        msg = "it holds no frame that can be decoded."
        raise UserError(msg)
    return cut


def _bounded(size: tuple[int, ...]) -> tuple[int, int]:
    """Shrink a size to what is shown, both sides even."""
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(2, round(size[0] * scale) // 2 * 2), max(2, round(size[1] * scale) // 2 * 2)


if __name__ == "__main__":
    try:
        if main(Path(sys.argv[1]), Path(sys.argv[2])):
            sys.stdout.write(CUT)
    except UserError as error:
        sys.exit(str(error).replace(sys.argv[1], "the file"))
