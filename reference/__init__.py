"""The reference of the HTTP API: docs/openapi.json and docs/api.html, made of the routes that functions declare."""
