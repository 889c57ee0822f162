"""`python -m prove.lossy FOLDER`: see `server`."""

from prove.lossy.server import main

main()
