"""Ports for servers that take no port of their own choice."""

import socket


def free() -> int:
    """A TCP port on loopback that nothing listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
