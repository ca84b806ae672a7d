"""Every magic many times in a process that does everything at once: right values, and nothing that stays behind."""

import pytest

from support.attack import Dice, times
from support.fire import FIRES, light, put_out
from support.magic_cells import ANSWER, LINES, PREPARE, RECORDINGS, line, recorded
from support.patches import changed_code, hooked_slots

# A fork while threads of the BLAS work hangs in its own lock, with and without us.
SETS = {
    "threads and libraries": ["python", "blas", "short threads", "libraries", "arrays", "signals"],
    "children": ["python", "children", "programs", "libraries", "signals", "garbage"],
}


@pytest.mark.parametrize("fires", SETS)
def test_magics(launch, dice: Dice, fires: str):
    """Each magic a thousand times is `DIAPHANE_ATTACK=700` (two thirds of the cells are line magics)."""
    assert set(SETS[fires]) <= FIRES.keys()
    threads = {"OPENBLAS_NUM_THREADS": "1" if fires == "children" else "2"}
    kernel = launch(env=threads)
    client = kernel.connect()
    client.run(PREPARE)
    light(client, kernel.directory, SETS[fires])
    for _ in range(times(40)):
        if dice.random() < 0.6:
            magic = dice.choice(LINES)
            done = client.execute(line(magic))
        else:
            magic = dice.choice(RECORDINGS)
            done = client.execute(recorded(magic))
            if done.content["status"] == "ok":
                assert client.value("answer") == ANSWER, magic
        assert done.content["status"] == "ok", (magic, done.content)
        client.record.clear()
        client.exchanges.clear()
    turns = put_out(client)
    # Each fire did burn.
    assert all(count > 2 for count in turns.values()), turns
    assert changed_code(kernel, "") == []
    assert hooked_slots(kernel) == []
