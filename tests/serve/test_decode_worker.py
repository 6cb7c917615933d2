"""The process that decodes what strangers send: light, and bounded before it decodes."""

import subprocess
import sys


def test_it_starts_without_a_network_library():
    code = (
        "import sys, roadanomaly.serve.decode_worker; "
        "print([m for m in ('torch', 'torchvision', 'timm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
