"""A client of haggled, haggle's price daemon. One file, standard library only, Python 3.8 or newer.

    from haggle import Haggle
    shop = Haggle("/run/haggle/price.sock")
    price = shop.price(session="s1", user="u1", item="818980")
    shop.reward(price["decision"], "sale", value_minor=price["price_minor"], units=1)

Every decision and every reward has an id before it is sent. When the connection breaks, the daemon is killed or too busy, the
same request is sent again with the same id until it is answered: nothing counts twice and nothing is lost. Prices are asked
for with `log="sync"`, so that an answered price is on disk as its rewards will be. docs/protocol.md describes the fields.

A client serves one thread at a time.
"""

import json
import socket
import time
import uuid

PROTOCOL = "haggle/1"
# Refusals after which the same request may be sent again.
PASSING = {"busy", "overloaded", "store_full"}


class Refused(Exception):
    """The daemon said no: `code` is for programs, `message` for people."""

    def __init__(self, code, message):
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


class Unreachable(ConnectionError):
    """No answer came in `patience_s`. Whether the request was carried out is not known: send it again with the same ids."""


class Haggle:
    """A connection to the daemon's socket that mends itself."""

    def __init__(self, path, timeout_s=10.0, patience_s=60.0, pause_s=0.02, pause_s_max=1.0):
        self.path = path
        self.timeout_s = timeout_s
        self.patience_s = patience_s
        self.pause_s = pause_s
        self.pause_s_max = pause_s_max
        self.reconnects = 0
        self._wire = None
        self._file = None
        self._next_id = 1
        self._connected_before = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Hangs up. The next request connects again."""
        for end in (self._file, self._wire):
            if end is not None:
                end.close()
        self._wire = self._file = None

    def price(self, session, item, decision=None, log="sync", **fields):
        """What does this item cost in this session? Fields: user, context, bounds, channel, attributes, stock, own_minor,
        defer, deadline_ms. Without a `decision` a fresh id is made."""
        decision = decision or uuid.uuid4().hex
        return self.ask("price", session=session, item=item, decision=decision, log=log, **fields)

    def reward(self, decision, reward_id, value_minor, units=0):
        """What a decision earned, or a part of it. Returns its status: durable, duplicate, late or early."""
        fields = {"decision": decision, "reward_id": reward_id, "value_minor": value_minor, "units": units}
        return self.ask("reward", **fields)["status"]

    def rewards(self, rewards):
        """Up to 256 rewards as one request. Returns one result per reward: {"status": ..} or {"code": .., "message": ..}."""
        return self.ask("rewards", rewards=rewards)["results"]

    def activate(self, decision):
        """A deferred decision was shown."""
        return self.ask("activate", decision=decision)["stage"]

    def cancel(self, decision):
        """A price was not shown after all."""
        return self.ask("cancel", decision=decision)["stage"]

    def cart(self, decision):
        """The session put the item into its cart: it never gets dearer for it."""
        return self.ask("cart", decision=decision)["stage"]

    def get(self, decision):
        """Reads a decision back, with what it earned."""
        return self.ask("get", decision=decision)

    def explain(self, decision):
        """Why is the price what it is?"""
        return self.ask("explain", decision=decision)

    def status(self):
        """How is the daemon doing?"""
        return self.ask("status")

    def ask(self, op, **fields):
        """Sends one request, again and again until it is answered. Raises Refused or Unreachable."""
        deadline = time.monotonic() + self.patience_s
        pause_s = self.pause_s
        while True:
            try:
                reply = self._once(op, fields)
            except (OSError, EOFError) as error:
                self.close()
                trouble = error
            else:
                if reply.pop("ok"):
                    reply.pop("id")
                    return reply
                trouble = Refused(reply["code"], reply["message"])
                if trouble.code not in PASSING:
                    raise trouble
                if trouble.code == "busy":
                    self.close()
            if time.monotonic() + pause_s > deadline:
                if isinstance(trouble, Refused):
                    raise trouble
                raise Unreachable(f"{self.path}: no answer within {self.patience_s} s: {trouble}") from trouble
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, self.pause_s_max)

    def _once(self, op, fields):
        if self._wire is None:
            self._connect()
        request_id, self._next_id = self._next_id, self._next_id + 1
        line = json.dumps({"id": request_id, "op": op, **fields}, separators=(",", ":"))
        self._wire.sendall(line.encode() + b"\n")
        while True:
            reply = self._file.readline()
            if not reply.endswith(b"\n"):
                raise EOFError("the daemon hung up")
            reply = json.loads(reply)
            # A daemon without a free seat answers nobody in particular.
            if reply["id"] in (request_id, None):
                return reply

    def _connect(self):
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wire.settimeout(self.timeout_s)
        try:
            wire.connect(self.path)
        except OSError:
            wire.close()
            raise
        self._wire, self._file = wire, wire.makefile("rb")
        self.reconnects += self._connected_before
        self._connected_before = True
