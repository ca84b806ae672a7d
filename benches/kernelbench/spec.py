"""Which kernels are measured: kernelspecs by name or folder, and the floor."""

import os
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from kernelbench.errors import BenchError

COMMAND = Path(__file__).parents[1] / "kernels.py"


class Spec:
    """How a kernel is started."""

    def __init__(self, label: str, argv, env, resource_dir, interrupt_mode, floor=False):
        self.label, self.argv, self.env = label, argv, env
        self.resource_dir, self.interrupt_mode, self.floor = resource_dir, interrupt_mode, floor


def find_spec(arg: str) -> Spec:
    """The kernel that an argument names: `NAME`, `FOLDER`, `LABEL=NAME`, `LABEL=FOLDER` or `floor`."""
    label, _, target = arg.partition("=")
    target = target or label
    if target == "floor":
        return Spec(
            label,
            [sys.executable, str(COMMAND), "--floor-kernel", "{connection_file}"],
            {},
            None,
            "message",
            floor=True,
        )
    if os.path.isfile(os.path.join(target, "kernel.json")):
        ks = KernelSpec.from_resource_dir(target)
        label = label if label != target else os.path.basename(os.path.normpath(target))
    else:
        try:
            ks = KernelSpecManager().get_kernel_spec(target)
        except NoSuchKernel:
            raise BenchError(
                f"there is no kernel {target}; `kernels.py --list` shows those that are installed"
            ) from None
    return Spec(label, list(ks.argv), dict(ks.env), ks.resource_dir, ks.interrupt_mode)
