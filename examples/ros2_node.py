"""A ROS 2 node that scores camera images: mask, score and objects as topics.

    source /opt/ros/jazzy/setup.bash
    pip install roadanomaly
    python examples/ros2_node.py --ros-args -p model:=default -r image:=/camera/image_raw

It reads `image` (sensor_msgs/Image: rgb8, bgr8, rgba8, bgra8 or mono8) and publishes, with the
image's own header, `~/mask` (mono8, 255 is anomalous), `~/score` (32FC1, higher is stranger) and
`~/objects` (std_msgs/String: a GeoJSON FeatureCollection in pixels). Of images that come while one
is scored the newest is taken. The model needs a threshold: the package's own has one, others get it
by `roadanomaly fit`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import roadanomaly

CHANNELS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}
"""Encoding to bytes a pixel, and where red, green and blue are among them."""


def pixels_of(message: Any) -> np.ndarray:
    """Return the pixels of a sensor_msgs/Image, `(H, W, 3)` uint8 RGB; rows may be padded.

    Raises:
        ValueError: an encoding that is not read here, or fewer bytes than the size asks for.
    """
    if message.encoding not in CHANNELS:
        known = ", ".join(CHANNELS)
        raise ValueError(f"the encoding {message.encoding!r} is not one of {known}")
    count, places = CHANNELS[message.encoding]
    data = np.frombuffer(message.data, np.uint8)
    if message.step < message.width * count or data.size < message.height * message.step:
        size = f"{message.width}x{message.height}"
        raise ValueError(f"an image of {size} with {message.step} bytes a row has {data.size}")
    rows = data[: message.height * message.step].reshape(message.height, message.step)
    pixels = rows[:, : message.width * count].reshape(message.height, message.width, count)
    return np.ascontiguousarray(pixels[..., places])


def fill(message: Any, pixels: np.ndarray, header: Any) -> Any:
    """Put `(H, W)` uint8 (mono8) or float32 (32FC1) into a sensor_msgs/Image, and return it."""
    message.header = header
    message.height, message.width = pixels.shape
    message.encoding = {"uint8": "mono8", "float32": "32FC1"}[str(pixels.dtype)]
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = pixels.shape[1] * pixels.itemsize
    message.data = np.ascontiguousarray(pixels).tobytes()
    return message


def attach(node: Any, model: roadanomaly.Model, image_type: Any, text_type: Any) -> None:
    """Subscribe a node to images, and let it publish what the model says of them."""
    masks, scores = (
        node.create_publisher(image_type, f"~/{name}", 1) for name in ("mask", "score")
    )
    objects = node.create_publisher(text_type, "~/objects", 1)

    def look(message: Any) -> None:
        try:
            result = model(pixels_of(message))
        except ValueError as error:
            node.get_logger().error(str(error))
            return
        mask = result.mask.astype(np.uint8) * 255
        masks.publish(fill(image_type(), mask, message.header))
        scores.publish(fill(image_type(), result.score, message.header))
        told = text_type()
        told.data = json.dumps(result.to_polygons())
        objects.publish(told)

    node.create_subscription(image_type, "image", look, 1)


def main() -> None:
    """Run the node until it is stopped."""
    import rclpy
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    rclpy.init()
    node = rclpy.create_node("roadanomaly")
    name = node.declare_parameter("model", "default").value
    device = node.declare_parameter("device", "cpu").value
    attach(node, roadanomaly.load(name, device), Image, String)
    try:
        rclpy.spin(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
