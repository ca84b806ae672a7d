"""stop_on_error: what was queued behind a failing cell is aborted, and only that."""

from support.client import Client


def fail_with_queue(client: Client, **options):
    """A cell that fails once two more are certainly queued; the three exchanges."""
    first = client.start("input()\n1/0", allow_stdin=True, **options)
    client.until(lambda: first.stdin, "the question")
    queue = [client.start("never = 1"), client.start("never = 2")]
    # The queue has been read once a later message on the same socket was.
    client.request("kernel_info_request", {}, "control")
    client.send("input_reply", {"value": "", "status": "ok"}, "stdin", parent=first.stdin[0])
    return [client.finish(x) for x in (first, *queue)]


def test_queue_is_aborted(client: Client):
    first, *queue = fail_with_queue(client)
    assert first.content["status"] == "error"
    for aborted in queue:
        assert aborted.content["status"] == "aborted"
        assert aborted.trace == ["busy", "idle"]
        assert aborted.reply["metadata"]["status"] == "aborted"
    assert client.value("'never' in globals()") == "False"


def test_cells_sent_after_the_reply_run(client: Client):
    first = client.execute("1/0")
    assert first.content["status"] == "error"
    assert client.finish(client.start("1 + 1")).content["status"] in ("ok", "aborted")
    assert client.run("1 + 1").result == "2"


def test_stop_on_error_false_keeps_the_queue(client: Client):
    first, *queue = fail_with_queue(client, stop_on_error=False)
    assert first.content["status"] == "error"
    assert [x.content["status"] for x in queue] == ["ok", "ok"]
    assert client.value("never") == "2"
    client.run("del never")


def test_a_silent_error_keeps_the_queue(client: Client):
    first = client.start("1/0", silent=True)
    second = client.start("'went on'")
    assert client.finish(first).content["status"] == "error"
    assert client.finish(second).result == "'went on'"


def test_other_requests_of_the_queue_are_answered(client: Client):
    first = client.start("1/0")
    queued = client.send("is_complete_request", {"code": "1"})
    assert client.finish(first).content["status"] == "error"
    assert client.finish(queued).content["status"] == "complete"
