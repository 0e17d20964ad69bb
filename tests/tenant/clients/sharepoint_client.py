"""Drives the simulated tenant with Office365-REST-Python-Client, which nobody here wrote.

Usage: sharepoint_client.py FILE, where FILE holds the line of JSON the tenant printed when it started.

The client's own code is unchanged: it asks login.microsoftonline.com and contoso.sharepoint.com, and requests'
connections to these names are led to the tenant's loopback ports. It signs in with a user and an app password, lists
and downloads everything and compares it with the tenant's manifest, then writes: folders, files small and in chunks,
lists, items, attachments, deletions. Exit status 0 if all checks passed, 1 if not.
"""

import io
import json
import os
import sys
import tempfile
import urllib.parse
import urllib.request

import blake3
import requests
import requests.adapters
from office365.runtime.auth.user_credential import UserCredential
from office365.sharepoint.changes.query import ChangeQuery
from office365.sharepoint.client_context import ClientContext
from office365.sharepoint.lists.creation_information import ListCreationInformation

HOSTS = {
    "login.microsoftonline.com": "login",
    "contoso.sharepoint.com": "sharepoint",
    "contoso-my.sharepoint.com": "my",
    "contoso-admin.sharepoint.com": "admin",
}


class Loopback(requests.adapters.HTTPAdapter):
    """Leads connections to Microsoft's names to the tenant's ports."""

    def __init__(self, endpoints):
        self.endpoints = endpoints
        super().__init__()

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        host = urllib.parse.urlsplit(request.url).hostname
        if host not in HOSTS:
            raise AssertionError(f"a request would leave loopback: {request.url}")
        return self.poolmanager.connection_from_url(self.endpoints[HOSTS[host]])

    def add_headers(self, request, **_):
        request.headers["Host"] = urllib.parse.urlsplit(request.url).netloc
        request.headers["X-Forwarded-Proto"] = "https"

    def cert_verify(self, conn, url, verify, cert):
        """Plain HTTP: nothing to verify."""


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, holds, what):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}", file=sys.stderr)

    def same(self, got, wanted, what):
        self.that(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def digest(data):
    return blake3.blake3(data).hexdigest()


def manifest_of(tenant):
    with urllib.request.urlopen(tenant["control"] + "/control/manifest") as answer:
        lines = [json.loads(line) for line in answer]
    return [line for line in lines if line["service"] == "sharepoint"]


def context(host, site, account):
    url = f"https://{host}{'' if site == '/' else site}"
    return ClientContext(url).with_credentials(UserCredential(account["user"], account["app_password"]))


def check_sign_in(checks, account):
    ctx = context("contoso.sharepoint.com", "/", account)
    me = ctx.web.current_user.get().execute_query()
    checks.same(me.user_principal_name, account["user"], "the signed-in user")
    wrong = {"user": account["user"], "app_password": account["password"]}
    try:
        context("contoso.sharepoint.com", "/", wrong).web.get().execute_query()
        checks.that(False, "the normal password must be refused")
    except ValueError as refused:
        checks.that("AADSTS50076" in str(refused), f"the normal password is refused by its code: {refused}")


def check_site(checks, account, host, site, lines):
    """Everything the manifest says of one web is what the client sees of it."""
    ctx = context(host, site, account)
    web = ctx.web.get().execute_query()
    title = next(line["title"] for line in lines if line["kind"] == "site")
    checks.same(web.properties["Title"], title, f"title of {site}")
    checks.same(web.properties["ServerRelativeUrl"], site, f"address of {site}")
    lists = {each.properties["Title"]: each for each in ctx.web.lists.get().execute_query() if not each.properties["Hidden"]}
    wanted = {line["title"] for line in lines if line["kind"] in ("list", "library")}
    checks.same(set(lists), wanted, f"lists of {site}")
    site_line = next(line for line in lines if line["kind"] == "site")
    checks.same(web.properties["Description"], site_line["description"], f"description of {site}")
    check_permissions(checks, ctx.web, site_line)
    if "groups" in site_line:
        check_groups(checks, ctx, site_line)
    for line in lines:
        if line["kind"] in ("library", "list"):
            check_schema(checks, ctx.web.lists.get_by_title(line["title"]), line)
            check_permissions(checks, ctx.web.lists.get_by_title(line["title"]), line)
        if line["kind"] == "library":
            check_library(checks, ctx, line, [other for other in lines if other.get("list") == line["title"]])
        elif line["kind"] == "list":
            check_list(checks, ctx, line, [other for other in lines if other.get("list") == line["title"]])


def check_library(checks, ctx, library, lines):
    library_object = ctx.web.lists.get_by_title(library["title"])
    items = library_object.items.select(["FileRef", "UniqueId", "FSObjType"]).paged(17).get()
    items = list(items.execute_query())
    wanted = {line["path"]: line["unique_id"] for line in lines}
    got = {item.properties["FileRef"]: item.properties["UniqueId"] for item in items}
    checks.same(got, wanted, f"items of {library['path']}")
    root = library_object.root_folder.get().execute_query()
    checks.same(root.serverRelativeUrl, library["path"], "root folder")
    found = walk(ctx, root)
    checks.same(set(found), set(wanted), f"folders and files of {library['path']}")
    for line in lines:
        if line["kind"] == "file":
            check_file(checks, ctx, line)


def walk(ctx, folder):
    """All addresses below a folder, found folder by folder."""
    found = []
    found.extend(each.serverRelativeUrl for each in folder.files.get().execute_query())
    for each in folder.folders.get().execute_query():
        found.append(each.serverRelativeUrl)
        below = ctx.web.get_folder_by_server_relative_path(each.serverRelativeUrl)
        found.extend(walk(ctx, below))
    return found


def check_schema(checks, of, line):
    """Columns, content types and views of a list."""
    fields = {each.internal_name for each in of.fields.get().execute_query()}
    checks.that(set(line["columns"]) <= fields, f"columns of {line['path']}: {fields}")
    types = {each.properties["Name"] for each in of.content_types.get().execute_query()}
    checks.that(set(line["content_types"]) <= types, f"content types of {line['path']}: {types}")
    views = {each.properties["Title"]: each for each in of.views.get().execute_query()}
    checks.same(set(views), set(line["views"]), f"views of {line['path']}")
    for view in views.values():
        shown = view.view_fields.get().execute_query()
        checks.that(bool(list(shown)), f"columns of a view of {line['path']}")
    settings = of.get().execute_query().properties
    checks.same(settings["Description"], line["description"], f"description of {line['path']}")


def check_permissions(checks, securable, line):
    """Roles by login name, of what has permissions of its own; the flag of what has none."""
    unique = securable.get().select(["HasUniqueRoleAssignments"]).execute_query()
    checks.same(unique.properties["HasUniqueRoleAssignments"], line["permissions"] is not None, f"own permissions of {line.get('path', line['site'])}")
    if line["permissions"] is None:
        return
    got = {}
    for assignment in securable.role_assignments.get().expand(["Member", "RoleDefinitionBindings"]).execute_query():
        roles = [role.name for role in assignment.role_definition_bindings]
        got[assignment.member.properties["LoginName"]] = roles
    checks.same(got, line["permissions"], f"permissions of {line.get('path', line['site'])}")


def check_groups(checks, ctx, line):
    got = {}
    for group in ctx.web.site_groups.get().execute_query():
        members = group.users.get().execute_query()
        got[group.properties["Title"]] = [user.login_name for user in members]
    checks.same(got, line["groups"], f"groups of {line['site']}")
    roles = {role.name for role in ctx.web.role_definitions.get().execute_query()}
    checks.that({"Full Control", "Edit", "Read"} <= roles, f"role definitions of {line['site']}: {roles}")


def check_versions(checks, file, line):
    """Earlier versions of a file: labels, lengths, contents."""
    versions = list(file.versions.get().execute_query())
    got = {each.version_label: each for each in versions}
    wanted = {each["label"]: each for each in line["versions"]}
    checks.same(set(got), set(wanted), f"versions of {line['path']}")
    for label, each in wanted.items():
        if label in got:
            checks.same(int(got[label].properties["Length"]), each["size"], f"length of {label} of {line['path']}")
            target = io.BytesIO()
            got[label].download(target).execute_query()
            checks.same(digest(target.getvalue()), each["blake3"], f"content of {label} of {line['path']}")


def check_file(checks, ctx, line):
    by_path = ctx.web.get_file_by_server_relative_path(line["path"])
    properties = by_path.get().execute_query()
    checks.same(int(properties.length), line["size"], f"length of {line['path']}")
    target = io.BytesIO()
    by_id = ctx.web.get_file_by_id(line["unique_id"])
    by_id.download(target).execute_query()
    checks.same(digest(target.getvalue()), line["blake3"], f"content of {line['path']}")
    if line["versions"]:
        check_versions(checks, ctx.web.get_file_by_id(line["unique_id"]), line)
    if line["permissions"] is not None:
        check_permissions(checks, ctx.web.get_file_by_id(line["unique_id"]).listItemAllFields, line)


def check_list(checks, ctx, of, lines):
    entries = {line["item_id"]: line for line in lines if line["kind"] == "list_item"}
    items = list(ctx.web.lists.get_by_title(of["title"]).items.get_all(10).execute_query())
    got = {item.id: item for item in items if item.properties["FileSystemObjectType"] == 0}
    checks.same(set(got), set(entries), f"items of {of['path']}")
    for number, line in entries.items():
        seen = {name: got[number].properties.get(name) for name in line["fields"]}
        checks.same(seen, line["fields"], f"columns of {line['path']}")
        checks.same(got[number].properties["Attachments"], bool(line["attachments"]), f"flag of {line['path']}")
        if line["permissions"] is not None:
            check_permissions(checks, ctx.web.lists.get_by_title(of["title"]).get_item_by_id(number), line)
        if line["attachments"]:
            check_attachments(checks, got[number], line)


def check_attachments(checks, item, line):
    attachments = item.attachment_files.get().execute_query()
    wanted = {each["name"]: each["blake3"] for each in line["attachments"]}
    got = {}
    for each in attachments:
        target = io.BytesIO()
        each.download(target).execute_query()
        got[each.file_name] = digest(target.getvalue())
    checks.same(got, wanted, f"attachments of {line['path']}")


def check_discovery(checks, account, manifest):
    ctx = context("contoso.sharepoint.com", "/", account)
    found = ctx.search.query("contentclass:STS_Site contentclass:STS_Web", row_limit=500, trim_duplicates=False)
    found = found.execute_query()
    rows = found.value.PrimaryQueryResult.RelevantResults.Table.Rows
    paths = {urllib.parse.urlsplit(row.Cells["Path"]).path or "/" for row in rows}
    wanted = {line["site"] for line in manifest if line["kind"] == "site"}
    checks.that(wanted <= paths, f"search finds all sites: {paths}")
    below = context("contoso.sharepoint.com", "/sites/b", account).web.webs.get().execute_query()
    checks.same([web.properties["ServerRelativeUrl"] for web in below], ["/sites/b/sub"], "webs below a web")


def check_changes(checks, ctx, library, act):
    """What `act` does stands in the change log after the token taken before it."""
    each = ctx.web.lists.get_by_title(library).get().execute_query()
    token = each.properties["CurrentChangeToken"]
    act()
    query = ChangeQuery(list_=False, item=True, file=True, folder=True)
    query.Add = query.Update = query.DeleteObject = query.Rename = query.Move = True
    query.ChangeTokenStart = token
    changes = each.get_changes(query).execute_query()
    return [change.properties["ChangeType"] for change in changes]


def content_of(file):
    target = io.BytesIO()
    file.download(target).execute_query()
    return target.getvalue()


def check_files(checks, account):
    ctx = context("contoso.sharepoint.com", "/sites/a", account)
    root = ctx.web.lists.get_by_title("Documents").root_folder
    folder = root.folders.add("client's 100%#1 & +").execute_query()
    small = b"written by a client\n" * 100
    name = "it's 50% & #2 + ünï.txt"
    made = folder.upload_file(name, small).execute_query()
    checks.same(int(made.length), len(small), "length of an upload")
    checks.same(content_of(made), small, "an upload reads back")
    large = os.urandom(3_500_000)
    with tempfile.NamedTemporaryFile(suffix=".bin") as source:
        source.write(large)
        source.flush()
        chunked = folder.files.create_upload_session(source.name, 1_000_000).execute_query()
        path = folder.serverRelativeUrl + "/" + os.path.basename(source.name)
    back = io.BytesIO()
    ctx.web.get_file_by_server_relative_path(path).download_session(back, chunk_size=300_000).execute_query()
    checks.same(digest(back.getvalue()), digest(large), "an upload in chunks reads back")
    checks.that(chunked is not None, "an upload session answers with the file")
    empty = folder.upload_file("empty.txt", b"").execute_query()
    checks.same(int(empty.length), 0, "an empty upload")

    def edit_and_delete():
        again = folder.upload_file(name, small + b"more").execute_query()
        checks.same(content_of(again), small + b"more", "an upload replaces")
        empty.delete_object().execute_query()

    kinds = check_changes(checks, ctx, "Documents", edit_and_delete)
    checks.that(2 in kinds or 1 in kinds, f"an edit is in the change log: {kinds}")
    checks.that(3 in kinds, f"a deletion is in the change log: {kinds}")
    ctx.web.get_folder_by_server_relative_path(folder.serverRelativeUrl).delete_object().execute_query()
    try:
        ctx.web.get_file_by_server_relative_path(path).get().execute_query()
        checks.that(False, "a file in a deleted folder is gone")
    except Exception as gone:  # the client has no class of its own for this
        checks.same(gone.response.status_code, 404, "a file in a deleted folder is gone")


def check_items(checks, account):
    ctx = context("contoso.sharepoint.com", "/sites/b", account)
    wanted = ListCreationInformation("Client's list", "made by a client", 100)
    made = ctx.web.lists.add(wanted).execute_query()
    checks.same(made.properties["Title"], "Client's list", "a new list")
    target = ctx.web.lists.get_by_title("Client's list")
    item = target.add_item({"Title": "one <two> & \"three\""}).execute_query()
    checks.same(item.properties["Title"], "one <two> & \"three\"", "a new item")
    data = b"attached bytes"
    item.attachment_files.add_using_path("it's 1.txt", data).execute_query()
    attachments = item.attachment_files.get().execute_query()
    checks.same([each.file_name for each in attachments], ["it's 1.txt"], "a new attachment")
    back = io.BytesIO()
    attachments[0].download(back).execute_query()
    checks.same(back.getvalue(), data, "an attachment reads back")
    item.set_property("Title", "changed").update().execute_query()
    checks.same(target.get_item_by_id(item.id).get().execute_query().properties["Title"], "changed", "an edit")
    # The client does not double quotes in keys, so the attachment it deletes has a plain name.
    item.attachment_files.add_using_path("plain 2.txt", data).execute_query()
    item.attachment_files.get().execute_query()[1].delete_object().execute_query()
    names = [each.file_name for each in item.attachment_files.get().execute_query()]
    checks.same(names, ["it's 1.txt"], "a deleted attachment")
    item.delete_object().execute_query()
    checks.same(len(target.items.get().execute_query()), 0, "a deleted item")
    target.delete_object().execute_query()
    titles = [each.properties["Title"] for each in ctx.web.lists.get().execute_query()]
    checks.that("Client's list" not in titles, "a deleted list")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        tenant = json.load(file)
    adapter = Loopback(tenant)
    requests.Session.get_adapter = lambda self, url: adapter
    manifest = manifest_of(tenant)
    checks = Checks()
    accounts = tenant["accounts"]
    check_sign_in(checks, accounts[0])
    check_discovery(checks, accounts[0], manifest)
    sites = sorted({(line["host"], line["site"]) for line in manifest})
    for number, (host, site) in enumerate(sites):
        name = "contoso-my.sharepoint.com" if host == "my" else "contoso.sharepoint.com"
        lines = [line for line in manifest if (line["host"], line["site"]) == (host, site)]
        check_site(checks, accounts[number % len(accounts)], name, site, lines)
    check_files(checks, accounts[0])
    check_items(checks, accounts[-1])
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
