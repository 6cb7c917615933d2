"""Which way up a video is shown: the display matrix that cameras store beside the frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame as AvFrame


class Orientation:
    """Turns decoded frames by quarters, mirrors them, or leaves them as they are.

    A display matrix sends the pixel `(x, y)` to `(a x + c y, b x + d y)` (ISO/IEC 14496-12, 8.5.2:
    the rows of the matrix are `a b u`, `c d v`, `x y w`). Between two quarters the nearer one is
    taken.

    Args:
        frame: whose side data say how it is shown; without any it is upright.

    Attributes:
        angle: of the matrix, degrees, as PyAV gives it; a mirror does not show in it.
        sideways: whether height and width change places.
    """

    def __init__(self, frame: AvFrame) -> None:
        self.angle = frame.rotation
        data: Any = frame.side_data.get("DISPLAYMATRIX", None)
        matrix = np.eye(3) if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)
        (a, b), (c, d) = matrix[:2, :2].astype(float)
        self.sideways = bool(abs(b) + abs(c) > abs(a) + abs(d))
        across, down = (c, b) if self.sideways else (a, d)
        self._mirrored, self._inverted = bool(across < 0), bool(down < 0)

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Return the `(H, W)` at which stored pixels of `(H, W)` are shown; and the way back."""
        return (stored[1], stored[0]) if self.sideways else stored

    def upright(self, image: np.ndarray) -> np.ndarray:
        """Turn `(H, W, 3)` as it is stored to what is shown; contiguous."""
        turned = image.transpose(1, 0, 2) if self.sideways else image
        turned = turned[:, ::-1] if self._mirrored else turned
        turned = turned[::-1] if self._inverted else turned
        return np.ascontiguousarray(turned)
