"""HTTP/1.1 on loopback with connections kept alive: requests come in whole, answers go out whole."""
import asyncio
import http.client
import json
import socket

MAXIMUM = 8 << 20


class Request:
    """One request. Headers are by lower-case name; a name that came twice is joined with commas."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")

    def header(self, name):
        return self.headers.get(name.lower())

    def json(self):
        return json.loads(self.body or b"{}")


class Closed(Exception):
    """The connection ends here, without an answer."""


class Cut(Exception):
    """The connection ends in the middle of this answer."""

    def __init__(self, status, headers, body):
        super().__init__("cut")
        self.parts = (status, headers, body)


async def read_request(reader, writer):
    """The next request of a connection, or None when there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            name = name.lower()
            headers[name] = f"{headers[name]},{value.strip()}" if name in headers else value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        else:
            body = await reader.readexactly(min(int(headers.get("content-length", 0)), MAXIMUM))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Request(method, target, headers, body)


def answer(status, headers, body, close):
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
    lines.extend(f"{name}: {value}" for name, value in headers)
    lines.append(f"Content-Length: {len(body)}")
    lines.append(f"Connection: {'close' if close else 'keep-alive'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


class Server:
    """`respond(request, gone)` gives status, headers and body, or raises Closed; `gone()` says that the client left."""

    def __init__(self, respond):
        self._respond = respond

    async def listen(self, port):
        listener = await asyncio.start_server(self._connection, "127.0.0.1", port, limit=MAXIMUM)
        return listener, listener.sockets[0].getsockname()[1]

    async def _connection(self, reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def gone():
            return reader.at_eof() or writer.is_closing()

        try:
            while (request := await read_request(reader, writer)) is not None:
                close = (request.header("connection") or "").lower() == "close"
                writer.write(answer(*await self._respond(request, gone), close))
                await writer.drain()
                if close:
                    break
            writer.close()
        except Cut as cut:
            whole = answer(*cut.parts, True)
            writer.write(whole[:len(whole) - max(1, len(cut.parts[2]) // 2)])
            writer.close()
        except (Closed, ConnectionError, ValueError, asyncio.CancelledError):
            # Closed by a fault, gone, no HTTP at all, or the end of this program: nothing is left to say.
            writer.transport.abort()
