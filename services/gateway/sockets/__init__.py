"""`GET /v1/socket`: the stream and the requests of a toolbar on one WebSocket."""
