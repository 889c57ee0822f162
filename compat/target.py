"""The server that a suite is pointed at, as named on the command line."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One account on one server; `url` is where a person would tell a program to start."""

    url: str
    user: str
    password: str


def read_target(description: str) -> Target:
    """Read the target from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", required=True, help="where discovery starts, such as http://127.0.0.2:8080/dav/")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    arguments = parser.parse_args()
    return Target(url=arguments.url, user=arguments.user, password=arguments.password)
