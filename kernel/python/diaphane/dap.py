"""A client's end of the Debug Adapter Protocol: requests with their responses, and events, over TCP."""

import asyncio
import itertools
import json


class Connection:
    """One connection to a debug adapter. `on_event` is called with each event, `on_close` when there are no more."""

    def __init__(self, on_event, on_close):
        self._on_event = on_event
        self._on_close = on_close
        self._waiting = {}
        self._numbers = itertools.count(1)
        self._reader = self._writer = self._receiver = None

    async def open(self, host, port):
        self._reader, self._writer = await asyncio.open_connection(host, port)
        self._receiver = asyncio.create_task(self._receive())

    @property
    def is_open(self):
        return self._receiver is not None and not self._receiver.done()

    async def ask(self, command, arguments=None):
        """The response to a request. Raises ConnectionError when the adapter goes away instead."""
        if not self.is_open:
            raise ConnectionError("the connection to the debug adapter is closed")
        number = next(self._numbers)
        request = {"seq": number, "type": "request", "command": command, "arguments": arguments or {}}
        content = json.dumps(request).encode()
        response = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        return await response

    async def close(self):
        self._writer.close()
        await self._receiver

    async def _receive(self):
        try:
            while True:
                self._take(await self._read())
        except (EOFError, ConnectionError):
            pass
        finally:
            self._writer.close()
            for response in self._waiting.values():
                response.set_exception(ConnectionError("the debug adapter has closed the connection"))
            self._waiting.clear()
            self._on_close()

    async def _read(self):
        length = 0
        while (line := await self._reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(await self._reader.readexactly(length))

    def _take(self, message):
        if message["type"] == "event":
            self._on_event(message)
        elif message["type"] == "response":
            response = self._waiting.pop(message["request_seq"], None)
            if response is not None and not response.done():
                response.set_result(message)
