"""Ray's workers: `ray.init(runtime_env={"worker_process_setup_hook": diaphane.ray.setup})`.

The package has to be installed where the workers are. Ray itself is not imported here.
"""

from . import workers


def setup():
    """On a worker that begins: who starts threads is noted, a fault is told, and `diaphane ask -k PID` is answered."""
    workers.begin("ray")
