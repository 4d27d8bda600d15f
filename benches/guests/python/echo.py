"""Answers each message with its payload."""


class Handler:
    def process(self, payload: bytes) -> bytes | None:
        return payload
