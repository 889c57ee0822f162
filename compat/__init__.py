"""Other people's suites, run against a Keepwell server that was started for it.

Each `run_*.py` fetches what it needs from the package index at test time, runs one suite against any
server that is named by its URL, login and password, prints a summary and exits with 0 only when
everything passed or is explained. Nothing of the suites is kept in this repository.

    python -m compat.run_caldav_server_tester --url http://127.0.0.2:8080/dav/ --user anna --password …
"""
