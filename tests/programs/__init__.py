"""The programs people use, each started for real against a real server."""
