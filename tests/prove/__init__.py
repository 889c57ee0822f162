"""The proving ground in short form, and its own tests."""
