import subprocess
import sys


def test_core_and_the_package_import_without_jax():
    program = "import sys, jaxlm, jaxlm.core; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
