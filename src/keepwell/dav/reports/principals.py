"""The smaller reports of RFC 3744 section 9 about principals: which am I, whose names are in an access list.

Promises: an answer shows no principal that the actor may not see otherwise (their own, and of those who share something
with them), so nobody learns from a report who else has an account here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from keepwell.dav.multistatus import multistatus
from keepwell.dav.names import clark, dav
from keepwell.dav.paths import PRINCIPALS_PATH, ROOT_PATH, Sort, Target, principal_href
from keepwell.dav.properties import PropertyPlan, plan_names, plan_properties
from keepwell.dav.reports.expand_property import hrefs_in, property_text
from keepwell.dav.reports.question import Question, Report, resources_in
from keepwell.dav.request import DavResponse
from keepwell.dav.resources import Resource, locate, visible_logins
from keepwell.dav.xml import href
from keepwell.model.errors import BadRequest


def visible_principals(question: Question) -> Iterator[Resource]:
    """The principals that the actor may see, their own first."""
    request = question.request
    for login in visible_logins(request.actor, request.directory):
        yield locate(request.library, request.directory, request.actor, Target(Sort.PRINCIPAL, login))


def answer_match(question: Question) -> DavResponse:
    """`DAV:principal-match` (RFC 3744 section 9.3): the members that are the actor, or that belong to them."""
    question.require_depth_zero()
    plan = _plan(question.root)
    matches = _same_principal(question) if question.root.find(dav("self")) is not None else _belonging(question)
    return multistatus([plan.render(question.scene, resource) for resource in matches])


def _same_principal(question: Question) -> Iterator[Resource]:
    own = principal_href(question.request.actor.login)
    if question.resource.href in (ROOT_PATH, PRINCIPALS_PATH, own):
        yield next(visible_principals(question))


def _belonging(question: Question) -> Iterator[Resource]:
    """The collections, at any depth, of which a property points to the actor's principal."""
    element = question.root.find(dav("principal-property"))
    if element is None or len(element) != 1:
        raise BadRequest("DAV:principal-match asks for DAV:self or for one DAV:principal-property")
    name, own = clark(str(element[0].tag)), href(principal_href(question.request.actor.login))
    for resource in _everything_below(question, question.resource):
        if own in (property_text(question, resource, name) or ""):
            yield resource


def _everything_below(question: Question, resource: Resource) -> Iterator[Resource]:
    for member in resources_in(question, resource):
        yield member
        yield from _everything_below(question, member)


def answer_acl_principals(question: Question) -> DavResponse:
    """`DAV:acl-principal-prop-set` (RFC 3744 section 9.2): properties of the principals in the `DAV:acl`."""
    question.require_depth_zero()
    plan = _plan(question.root)
    named = hrefs_in(property_text(question, question.resource, dav("acl")) or "")
    listed = [one for one in visible_principals(question) if one.href in named]
    return multistatus([plan.render(question.scene, resource) for resource in listed])


def _plan(root: etree._Element) -> PropertyPlan:
    """The properties asked for; none when there is no `DAV:prop`, which RFC 3744 allows here."""
    prop = root.find(dav("prop"))
    return plan_names(()) if prop is None else plan_properties(prop)


MATCH: Final = Report(dav("principal-match"), answer_match)
ACL_PRINCIPALS: Final = Report(dav("acl-principal-prop-set"), answer_acl_principals)
