"""A plain page that shows /openapi.json: files of our own, no request to another host."""
