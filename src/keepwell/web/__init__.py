"""The people's pages: what this server is and how to connect to it, readable in any browser without JavaScript."""
