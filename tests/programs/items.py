"""Items as programs write them."""


def card(uid: str, name: str, *, phone: str = "555 0100") -> str:
    """A vCard 3.0."""
    return (
        "BEGIN:VCARD\r\nVERSION:3.0\r\n"
        f"UID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\nTEL;TYPE=HOME:{phone}\r\n"
        "X-KEPT-AS-IT-IS;X-PARAM=a:b\r\nEND:VCARD\r\n"
    )


def event(uid: str, summary: str, *, day: str = "20270301") -> str:
    """An event of one hour."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example.org//test//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270101T000000Z\r\nDTSTART:{day}T100000Z\r\nDTEND:{day}T110000Z\r\n"
        f"SUMMARY:{summary}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def task(uid: str, summary: str) -> str:
    """A task without a date."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example.org//test//EN\r\nBEGIN:VTODO\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270101T000000Z\r\nSUMMARY:{summary}\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
    )
