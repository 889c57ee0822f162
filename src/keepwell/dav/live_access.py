"""Live properties of principals and access: RFC 3744 sections 4 and 5, RFC 5397.

Access is read-only here: people share collections through Keepwell's own doors, so there is no ACL method and no
`write-acl` privilege, and `DAV:acl` shows what is.
"""

from __future__ import annotations

from typing import Final

from keepwell.dav.liveproperty import LiveProperty, Scene, Value, everywhere
from keepwell.dav.names import caldav, dav
from keepwell.dav.paths import PRINCIPALS_PATH, Sort, principal_href
from keepwell.dav.resources import Access, Resource
from keepwell.dav.xml import empty, href

_READ: Final = ("read", "read-acl", "read-current-user-privilege-set")
_WRITE: Final = ("write", "write-properties", "write-content", "bind", "unbind")

PRIVILEGES_OF_COLLECTION: Final = {
    Access.OWNER: ("all", *_READ, *_WRITE),
    Access.WRITER: ("read", "read-current-user-privilege-set", "write-content", "bind", "unbind"),
    Access.READER: ("read", "read-current-user-privilege-set"),
}
PRIVILEGES_OF_ITEM: Final = {
    Access.OWNER: ("all", *_READ, *_WRITE),
    Access.WRITER: ("read", "read-current-user-privilege-set", "write-content", "write-properties"),
    Access.READER: ("read", "read-current-user-privilege-set"),
}

_FREE_BUSY: Final = f"<D:privilege>{empty(caldav('read-free-busy'))}</D:privilege>"


def _privileges(names: tuple[str, ...]) -> str:
    return "".join(f"<D:privilege><D:{name}/></D:privilege>" for name in names) + _FREE_BUSY


_COLLECTION_SETS: Final = {access: _privileges(names) for access, names in PRIVILEGES_OF_COLLECTION.items()}
_ITEM_SETS: Final = {access: _privileges(names) for access, names in PRIVILEGES_OF_ITEM.items()}


def _on_collection(_scene: Scene, resource: Resource) -> str:
    return _COLLECTION_SETS[resource.access]


def _on_item(_scene: Scene, resource: Resource) -> str:
    return _ITEM_SETS[resource.access]


def _supported(name: str, says: str, *inside: str) -> str:
    description = f'<D:description xml:lang="en">{says}</D:description>'
    privilege = f"<D:privilege>{name}</D:privilege>"
    return f"<D:supported-privilege>{privilege}{description}{''.join(inside)}</D:supported-privilege>"


_SUPPORTED_PRIVILEGES: Final = _supported(
    "<D:all/>",
    "Everything",
    _supported(
        "<D:read/>",
        "Read",
        _supported("<D:read-acl/>", "Read who may do what"),
        _supported("<D:read-current-user-privilege-set/>", "Read one's own privileges"),
        _supported(empty(caldav("read-free-busy")), "Read busy times"),
    ),
    _supported(
        "<D:write/>",
        "Change",
        _supported("<D:write-properties/>", "Change properties"),
        _supported("<D:write-content/>", "Change content"),
        _supported("<D:bind/>", "Add members"),
        _supported("<D:unbind/>", "Remove members"),
    ),
)


def _current_user(scene: Scene, _resource: Resource) -> str:
    return href(principal_href(scene.actor.login))


def _owner(_scene: Scene, resource: Resource) -> str | None:
    return href(principal_href(resource.target.login)) if resource.owner else None


def _acl(_scene: Scene, resource: Resource) -> str | None:
    if resource.owner is None or resource.access is not Access.OWNER:
        return None
    principal = f"<D:principal>{href(principal_href(resource.target.login))}</D:principal>"
    return f"<D:ace>{principal}<D:grant><D:privilege><D:all/></D:privilege></D:grant><D:protected/></D:ace>"


def _on_principal(text: str) -> Value:
    def value(_scene: Scene, resource: Resource) -> str | None:
        return text if resource.target.sort is Sort.PRINCIPAL else None

    return value


def _principal_url(_scene: Scene, resource: Resource) -> str | None:
    return href(resource.href) if resource.target.sort is Sort.PRINCIPAL else None


def _addresses(_scene: Scene, resource: Resource) -> str | None:
    """RFC 6638 section 2.4.1; clients look for themselves among organizers and attendees by it."""
    if resource.target.sort is not Sort.PRINCIPAL:
        return None
    login = resource.target.login
    mail = href(f"mailto:{login}") if "@" in login else ""
    return mail + href(resource.href)


PROPERTIES: Final = (
    LiveProperty(dav("current-user-principal"), _current_user, _current_user),
    LiveProperty(dav("owner"), _owner, _owner),
    everywhere(dav("group"), ""),
    everywhere(dav("supported-privilege-set"), _SUPPORTED_PRIVILEGES),
    LiveProperty(dav("current-user-privilege-set"), _on_collection, _on_item),
    LiveProperty(dav("acl"), _acl, _acl),
    everywhere(dav("acl-restrictions"), "<D:grant-only/><D:no-invert/>"),
    everywhere(dav("inherited-acl-set"), ""),
    everywhere(dav("principal-collection-set"), href(PRINCIPALS_PATH)),
    LiveProperty(dav("principal-URL"), _principal_url),
    LiveProperty(dav("alternate-URI-set"), _on_principal("")),
    LiveProperty(dav("group-member-set"), _on_principal("")),
    LiveProperty(dav("group-membership"), _on_principal("")),
    LiveProperty(caldav("calendar-user-address-set"), _addresses),
    LiveProperty(caldav("calendar-user-type"), _on_principal("INDIVIDUAL")),
)
