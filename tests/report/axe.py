"""The rules of axe-core, asked of the page that a browser shows."""

from __future__ import annotations

from pathlib import Path

import pytest

PLACE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
GRAVE = ("serious", "critical")
ASK = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(found => done(found.violations));
"""


def axe_script() -> str:
    """Return axe-core, or skip the test with what is missing."""
    if not PLACE.exists():
        pytest.skip("axe-core is not here: `make axe` asks npm for it (apt-get install -y npm)")
    return PLACE.read_text(encoding="utf-8")


def grave_findings(driver, script: str) -> list[str]:
    """Return what axe finds serious or critical: rule, element and what is wrong with it."""
    driver.execute_script(script)
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary']}"
        for rule in driver.execute_async_script(ASK)
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
