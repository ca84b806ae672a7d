"""Products of matrices, each of which BLAS is asked for once, with kernels for different processors."""

import os

import hooks
import numpy as np


def count(logs, name, part=""):
    """How often functions were entered whose names begin so, and have this part, on all threads."""
    addresses = [address for _, log in logs for address in log]
    known = dict(zip(set(addresses), hooks.names(list(set(addresses))), strict=True))
    return sum(known[one][1].startswith(name) and part in known[one][1] for one in addresses)


def test_every_product_is_seen():
    on = hooks.Hooks()
    a = np.arange(64.0).reshape(8, 8)
    expected = a @ a
    assert on.on("libscipy_openblas")["hooked"] > 10_000
    on.begin()
    for _ in range(20_000):
        b = a @ a
    logs = on.end()
    on.off()
    assert (b == expected).all()
    assert count(logs, "scipy_cblas_dgemm64_") == 20_000
    # The kernel of the processor that was asked for.
    core = os.environ["OPENBLAS_CORETYPE"].upper()
    kernels = count(logs, "dgemm_small_kernel", core) + count(logs, "dgemm_kernel", core)
    assert kernels >= 20_000, (core, kernels)
