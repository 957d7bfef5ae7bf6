"""A Bayeux server: what CometD clients speak to be told of things.

A client shakes hands and gets a client id, subscribes to channels, and keeps one connect waiting
here, which is answered as soon as there is something to tell. `messages`, `outbox`, `session`,
`sessions` and `protocol` know no HTTP; `polling` (long-polling, callback-polling) and `websocket`
carry the messages. What is told, and to whom, is up to whoever mounts it: an `Audience`.

Source: "The Bayeux Protocol Specification 1.0" and the message acknowledgement extension, both in
the CometD reference book.
"""
