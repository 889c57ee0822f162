"""Formats: content lines kept octet for octet, and what must be known of vCard and iCalendar; no I/O."""
