# SPDX-License-Identifier: Apache-2.0
"""The colours of the report page can be read and told apart by everyone.

Contrast as WCAG 2 computes it; colour vision without one kind of cone by the matrices of Machado et
al. (2009); differences in CIELAB.
"""

import itertools
import re

import numpy as np
import pytest
from ascend_attention.vnpu import timeline
from ascend_attention.vnpu.report import html

VISION = {
    "full": np.eye(3),
    "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deutan": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9690]],
    "tritan": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def page_colours(scheme: str) -> dict[str, str]:
    """Names and #rrggbb of the style sheet; the dark ones replace the light ones."""
    light, _, rest = html._asset("page.css").partition("@media (prefers-color-scheme: dark)")
    tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)\b", light))
    if scheme == "dark":
        dark = rest[: rest.index("* { box-sizing")]
        tokens.update(re.findall(r"--([\w-]+): (#[0-9a-f]+)\b", dark))
    return tokens


def linear(colour: str) -> np.ndarray:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    values = np.frombuffer(bytes.fromhex(digits), np.uint8) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def difference(first: str, second: str, vision: str) -> float:
    """Distance in CIELAB."""
    points = []
    for colour in (first, second):
        xyz = TO_XYZ @ np.clip(VISION[vision] @ linear(colour), 0, 1) / [0.9505, 1, 1.089]
        x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        points.append(np.array([116 * y, 500 * (x - y), 200 * (y - z)]))
    return float(np.linalg.norm(points[0] - points[1]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out(scheme):
    colours = page_colours(scheme)
    pairs = [("ink", "card"), ("muted", "card"), ("muted", "page"), ("muted", "sunken")]
    pairs += [("accent", "card"), ("accent", "accent-soft")]
    pairs += [(verdict, f"{verdict}-soft") for verdict in ("clean", "finding", "fault")]
    pairs += [(f"on-{pipe}", pipe) for pipe in timeline.PIPES]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for cause in ("flag", "cross_core", "barrier", "queue_full", "issue", "scalar_gm"):
        assert contrast(colours[cause], colours["card"]) >= 3, cause


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_causes_of_waits_differ_for_every_colour_vision(scheme, vision):
    colours = page_colours(scheme)
    for group in (("flag", "queue_full", "issue", "scalar_gm"), ("cross_core", "barrier")):
        for first, second in itertools.combinations(group, 2):
            assert difference(colours[first], colours[second], vision) > 15, (first, second)


def test_hatched_causes_are_those_of_the_page():
    """The second group above is hatched in lanes and bars, the first is plain."""
    assert 'const kind = { cross_core: "/", barrier: "|" }[cause]' in html._asset("tracks.js")
    assert 'marks = { cross_core: "135deg", barrier: "90deg" }' in html._asset("charts.js")
