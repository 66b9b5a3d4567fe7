"""The protocol: what a node, a station or a stream does with frames and time. `WIRE.md` says what the frames mean.

Everything in this package is pure. Frames and times go in, effects (`effects.py`) come out, as plain values that can be
compared. Nothing here opens a socket, reads a clock, draws a random number, starts a thread or writes a log. So a test
is a list of calls and a list of effects, and a lab in virtual time runs the same code as a lab of Raspberry Pis. One
thread at a time may use an endpoint; whoever runs it holds a lock.


Who owns what
-------------

`endpoint` is what a driver talks to. It composes the parts, and decides what only someone who knows several of them can
decide. Each part owns its state, and no part reads the state of another except as said here.

- `router` decides to which neighbour a packet goes, and owns what waits there for a full pipe (`send_queue`). It knows
  `routes` (who is a neighbour, and what lies behind whom) and `frames` (which frame means what). It reads no message.
- `reliable` owns what is to be confirmed: the `outbox` (ours, until the recipient has handled it), the `inbox` (theirs,
  in order and once) and `pending_relays` (which message of theirs waits for which of ours). It does not know routes: it
  asks the router whether a path is open. What outlives a restart it asks for in `durable_records`.
- `connections` owns each connection to a neighbour: whether the upstream still answers (`liveness`), what `probes` say,
  and what was lost with a connection (`accounts`). It reads no message.
- `reachability` tells neighbours that there is no path (GONE), or one again (BACK), and owns who wants to know
  (`interest`). `paths` closes and opens what is confirmed, as `routes` learns of paths. It learns no route by itself.
- `intake` decides what comes of a message for us. It owns the gaps of unconfirmed `streams` and `duplicate_ids`.
- `control` makes the messages that the library sends by itself. None of them seeks a confirmation.
- `clock_sync` asks for the terminal's time; `clock` estimates from the answers how far it is ahead.


The life of a confirmed message
-------------------------------

1. `Endpoint.send` hands it to `reliable`. The outbox gives it the next number (`seq`) toward its recipient, and encodes
   it once. A durable endpoint emits `Store`, which must be carried out before what follows.
2. If its path is open and the recipient's window has room, it is sent: the router packs the frames and emits a
   `Transmit`. Otherwise it waits, and no patience is spent. Each transmission also carries the lowest number that may
   still be repeated (`low`).
3. Each station on the way forwards the frames without reading the message. If it has no path, it drops the message,
   and tells the neighbour it came from: GONE, and later BACK.
4. At the recipient, the inbox holds it until all numbers before it were handed on, or until `low` says that they never
   will be. A second copy is not handled again. Then a `Deliver` hands it to its handler, with a ticket.
5. The handler returns, and the driver calls `handled(ticket)`. What the handler passed on is waited for first
   (`pending_relays`). Then a CONFIRM goes back along the stations in `via`.
6. At the sender, `Confirmed` settles it. If no CONFIRM comes, it is repeated, at most `ttl` times. Then, or when its
   time is up, or when the recipient refuses it, `Expired` settles it. Exactly one of the two settles each message.
7. Either way its number is done with, `low` rises, and both sides forget it. Memory is bounded by the window.


What the parts may not know
---------------------------

A forwarder may not know what is in a message. `router` may not know what is confirmed, nor `reliable` where anything
goes. `liveness` may not know what a message costs to repeat, nor `outbox` why a path is closed. No part may know a
socket, a thread or the time of day: `epoch` is told by whoever runs the endpoint. And no part may trust a peer: bytes
that make no sense become a `Dropped` with a reason, never an exception.
"""
