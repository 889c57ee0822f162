"""The app: configuration, wiring and the server; the only place where concrete classes meet."""
