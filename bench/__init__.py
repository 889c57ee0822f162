"""Keepwell measured beside other servers, on the same data and the same machine, in one run.

The package is a program (`python -m bench`) and is not shipped. It knows the server only as its
users do, by its command line and over HTTP; `fill_accounts` alone imports from Keepwell.
"""
