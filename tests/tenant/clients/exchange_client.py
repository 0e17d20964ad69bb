#!/usr/bin/env python3
"""Drives the simulated tenant's Exchange with exchangelib, a client written against Microsoft's servers.

    exchange_client.py TENANT.json

TENANT.json holds the line the tenant prints at its start. Reads every mailbox and compares it with the tenant's
manifest, writes, synchronises again and expects exactly the changes made. Prints each mismatch and "N passed, N failed";
exits with 1 if anything failed. Needs the packages exchangelib and blake3.
"""

import collections
import datetime
import email
import email.policy
import json
import sys
import urllib.request

from blake3 import blake3
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    Account,
    Build,
    CalendarItem,
    Configuration,
    Contact,
    Credentials,
    ExtendedProperty,
    FaultTolerance,
    FileAttachment,
    ItemAttachment,
    Mailbox,
    Message,
    Task,
    Version,
)
from exchangelib.errors import (
    ErrorCorruptData,
    ErrorFolderExists,
    ErrorImpersonateUserDenied,
    ErrorInvalidIdMalformed,
    ErrorInvalidOperation,
    ErrorInvalidSyncStateData,
    ErrorItemNotFound,
    ErrorNonExistentMailbox,
    ErrorUnsupportedMimeConversion,
    SOAPError,
    UnauthorizedError,
)
from exchangelib.folders import Folder
from exchangelib.indexed_properties import EmailAddress, PhoneNumber
from exchangelib.properties import DLMailbox, HTMLBody
from exchangelib.protocol import Protocol
from exchangelib.services import SyncFolderHierarchy, SyncFolderItems

PEOPLE = ["ann", "bob", "carol", "dora", "eve"]
UTC = datetime.timezone.utc


class SearchKey(ExtendedProperty):
    property_tag = 0x300B
    property_type = "Binary"


class MessageFlags(ExtendedProperty):
    property_tag = 0x0E07
    property_type = "Integer"


class DeliveryTime(ExtendedProperty):
    property_tag = 0x0E06
    property_type = "SystemTime"


class SubmitTime(ExtendedProperty):
    property_tag = 0x0039
    property_type = "SystemTime"


for name, prop in [
    ("search_key", SearchKey),
    ("message_flags", MessageFlags),
    ("delivery_time", DeliveryTime),
    ("submit_time", SubmitTime),
]:
    Message.register(name, prop)
Contact.register("search_key", SearchKey)


class Results:
    """Counts what was expected and what was not met."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, what, got, wanted=True):
        if got == wanted:
            self.passed += 1
            return True
        self.failed += 1
        print(f"FAILED {what}\n   got    {shorten(got)}\n   wanted {shorten(wanted)}")
        return False

    def raises(self, what, error, action):
        try:
            result = action()
        except error:
            self.passed += 1
        except Exception as other:  # any other error is a mismatch, whatever its type
            self.failed += 1
            print(f"FAILED {what}: {type(other).__name__}: {other} instead of {error.__name__}")
        else:
            self.failed += 1
            print(f"FAILED {what}: no error but {shorten(result)}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 600 else text[:600] + "…"


def plain(text):
    """A text without what exchangelib loses: its parser, once recovered from a character XML cannot hold, drops all
    escaped characters of the rest of an answer."""
    return "".join(c for c in text or "" if c in "\t\n\r" or (ord(c) >= 0x20 and c not in "&<>"))


class Tenant:
    """The tenant's endpoints and control port."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            line = json.loads(file.readline())
        endpoints = line.get("endpoints", line)
        self.url = endpoints["exchange"].rstrip("/") + "/EWS/Exchange.asmx"
        self.control = endpoints["control"].rstrip("/")
        self.accounts = [(a["user"], a.get("app_password") or a["password"]) for a in line["accounts"]]

    def get(self, path):
        with urllib.request.urlopen(self.control + path) as answer:
            return answer.read().decode()

    def post(self, path, body):
        request = urllib.request.Request(
            self.control + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def manifest(self, mailbox):
        lines = [json.loads(line) for line in self.get("/control/manifest").splitlines() if line.strip()]
        return [line for line in lines if line["service"] == "exchange" and line["mailbox"] == mailbox and line["kind"] != "settings"]

    def account(self, mailbox, number=0, password=None, access=IMPERSONATION, retries=None):
        user, right = self.accounts[number % len(self.accounts)]
        config = Configuration(
            service_endpoint=self.url,
            credentials=Credentials(user, password or right),
            auth_type=BASIC,
            version=Version(Build(15, 2, 1748, 10)) if password else None,
            retry_policy=retries,
        )
        return Account(mailbox, config=config, autodiscover=False, access_type=access, default_timezone=None)


def key(line):
    """What identifies a folder or item across the manifest and the client's view."""
    if line["kind"] == "folder":
        return ("folder", tuple(line["path"]), line["folder_class"])
    # Only mail has a read flag clients can see.
    mail = line["kind"] in ("message", "note")
    return (
        line["item_class"],
        tuple(line["path"]),
        plain(line["subject"]),
        line["size"],
        line["blake3"],
        line["is_read"] if mail else None,
        tuple(map(plain, line["categories"])),
    )


class View:
    """What a client knows of one mailbox, kept up to date by synchronisation alone."""

    def __init__(self, account):
        self.account = account
        self.folders = {}
        self.items = {}
        self.states = {}
        self.hierarchy_state = None
        self.changes = collections.Counter()

    def sync_hierarchy(self):
        """Follows the folder hierarchy; gives the changes."""
        root = self.account.msg_folder_root
        changes = []
        service = SyncFolderHierarchy(account=self.account)
        for kind, folder in service.call(
            folder=root,
            shape="IdOnly",
            additional_fields=list(additional(Folder, "name", "parent_folder_id", "folder_class")),
            sync_state=self.hierarchy_state,
        ):
            changes.append((kind, folder))
            if kind == "delete":
                self.folders.pop(folder.id, None)
                self.states.pop(folder.id, None)
                self.items.pop(folder.id, None)
            else:
                self.folders[folder.id] = folder
        self.hierarchy_state = service.sync_state
        return changes

    def path(self, folder):
        names = []
        while folder is not None:
            names.append(folder.name)
            folder = self.folders.get(folder.parent_folder_id.id)
        return tuple(reversed(names))

    def sync_items(self, page=512):
        """Follows all folders' items; gives the changes as (folder id, kind, item id)."""
        changes = []
        for folder_id in list(self.folders):
            held = self.items.setdefault(folder_id, {})
            fetch = {}
            for _ in range(10000):
                service = SyncFolderItems(account=self.account)
                target = Folder(root=self.account.root, id=folder_id)
                for kind, item in service.call(
                    folder=target,
                    shape="IdOnly",
                    additional_fields=None,
                    sync_state=self.states.get(folder_id),
                    ignore=None,
                    max_changes_returned=page,
                    sync_scope="NormalItems",
                ):
                    item_id = item[0].id if kind == "read_flag_change" else item.id
                    changes.append((folder_id, kind, item_id))
                    if kind == "delete":
                        held.pop(item_id, None)
                        fetch.pop(item_id, None)
                    elif kind == "read_flag_change":
                        if item_id in held:
                            held[item_id]["is_read"] = item[1]
                    else:
                        fetch[item_id] = (item.id, item.changekey)
                self.states[folder_id] = service.sync_state
                if service.includes_last_item_in_range:
                    break
            held.update(self.fetch(fetch))
        self.changes.update(kind for _, kind, _ in changes)
        return changes

    def fetch(self, ids):
        """The items' content and properties, in batches; items without MIME are fetched again without."""
        fetched = {}
        ids = list(ids.values())
        basic = ["item_class", "subject", "categories", "size"]
        for item in self.fetch_mime(ids, [*basic, "mime_content"]):
            if isinstance(item, ErrorItemNotFound):
                continue
            if isinstance(item, Exception):
                raise item
            fetched[item.id] = record(item, item.mime_content)
        rest = [i for i in ids if i[0] not in fetched]
        for item in self.account.fetch(rest, only_fields=basic):
            if not isinstance(item, ErrorItemNotFound):
                fetched[item.id] = record(item, None)
        mail = [i for i in ids if i[0] in fetched and fetched[i[0]]["mail"]]
        for item in self.account.fetch(mail, only_fields=["is_read"]):
            fetched[item.id]["is_read"] = item.is_read
        return fetched

    def fetch_mime(self, ids, fields):
        """Ten at a time; where one of the ten has no MIME, exchangelib fails for all, so each is tried alone."""
        for start in range(0, len(ids), 10):
            batch = ids[start : start + 10]
            try:
                yield from list(self.account.fetch(batch, only_fields=fields))
            except ErrorUnsupportedMimeConversion:
                for single in batch:
                    try:
                        yield from list(self.account.fetch([single], only_fields=fields))
                    except ErrorUnsupportedMimeConversion:
                        pass

    def keys(self):
        """The view in the manifest's terms."""
        found = collections.Counter()
        for folder_id, folder in self.folders.items():
            path = self.path(folder)
            found[("folder", path, folder.folder_class)] += 1
            for item in self.items.get(folder_id, {}).values():
                read = item["is_read"] if item["mail"] else None
                found[(item["class"], path, item["subject"], item["size"], item["blake3"], read, item["categories"])] += 1
        return found


def additional(cls, *names):
    from exchangelib.fields import FieldPath

    return [FieldPath(field=cls.get_field_by_fieldname(name)) for name in names]


def record(item, mime):
    return {
        "class": item.item_class,
        "mail": item.item_class.startswith(("IPM.Note", "IPM.StickyNote", "IPM.Schedule", "IPM.Post")),
        "subject": plain(item.subject),
        "categories": tuple(map(plain, item.categories or ())),
        "size": None if mime is None else len(mime),
        "blake3": None if mime is None else blake3(mime).hexdigest(),
        "is_read": None,
    }


def compare(results, what, view, tenant):
    wanted = collections.Counter(key(line) for line in tenant.manifest(view.account.primary_smtp_address))
    found = view.keys()
    results.check(f"{what}: only in the manifest", list((wanted - found).elements()), [])
    results.check(f"{what}: not in the manifest", list((found - wanted).elements()), [])
    return sum(wanted.values())


def read_everything(results, tenant):
    """Walks and synchronises all mailboxes, each through another account of the pool."""
    views = {}
    for number, person in enumerate(PEOPLE):
        account = tenant.account(f"{person}@contoso.example", number)
        view = View(account)
        views[person] = view
        walked = collections.Counter()
        for folder in account.msg_folder_root.walk():
            walked[folder.absolute] += 1
        view.sync_hierarchy()
        results.check(f"{person}: FindFolder and SyncFolderHierarchy agree", sum(walked.values()), len(view.folders))
        changes = view.sync_items(page=7)
        results.check(f"{person}: a first sync only creates", {kind for _, kind, _ in changes}, {"create"})
        count = compare(results, f"{person} read", view, tenant)
        results.check(f"{person} holds a mailbox's worth", count > 50)
        results.check(f"{person}: nothing changed", (view.sync_hierarchy(), view.sync_items()), ([], []))
    return views


def find_items(results, account):
    """FindItem: pages, order, counts, restrictions."""
    inbox = account.inbox
    inbox.refresh()
    items = list(inbox.all().only("subject", "datetime_received", "size"))
    results.check("FindItem gives TotalCount items", len(items), inbox.total_count)
    received = [item.datetime_received for item in inbox.all().only("datetime_received").order_by("-datetime_received")]
    results.check("FindItem sorts", received, sorted(received, reverse=True))
    paged = inbox.all().only("subject")
    paged.page_size = 3
    results.check("FindItem pages", sorted(i.id for i in paged), sorted(i.id for i in items))
    results.check("unread items are counted", inbox.filter(is_read=False).count(), inbox.unread_count)
    whole = list(inbox.all())
    results.check("all properties of all items can be asked", [i for i in whole if isinstance(i, Exception)], [])
    results.check("FindItem and GetItem agree", sorted(i.id for i in whole), sorted(i.id for i in items))
    for folder, cls in [(account.calendar, CalendarItem), (account.contacts, Contact), (account.tasks, Task)]:
        found = list(folder.all().only("subject", "body", "datetime_created", "effective_rights"))
        results.check(f"{folder.name} holds its type", {type(i) for i in found}, {cls})
    whole = [*account.calendar.all(), *account.contacts.all()]
    results.check("all properties of events and contacts can be asked", [i for i in whole if isinstance(i, Exception)], [])


def attachments(results, account):
    """Attachments are the parts of the MIME."""
    seen = 0
    for item in account.inbox.all().only("attachments", "mime_content", "has_attachments"):
        if not item.attachments:
            continue
        parts = email.message_from_bytes(item.mime_content, policy=email.policy.compat32).walk()
        payloads = {blake3(p.get_payload(decode=True) or b"").hexdigest() for p in parts if not p.is_multipart()}
        for attachment in item.attachments:
            seen += 1
            if isinstance(attachment, FileAttachment):
                content = attachment.content or b""
                results.check("attachment size", len(content), attachment.size)
                if not attachment.name == "x.png":  # the damaged one
                    results.check(f"attachment {attachment.name} is in the MIME", blake3(content).hexdigest() in payloads)
            else:
                results.check("an attached message", isinstance(attachment, ItemAttachment))
                results.check("an attached message's subject", bool(attachment.item.subject is not None))
    results.check("some attachments were seen", seen > 3)


def kinds_of(changes):
    return collections.Counter(kind for _, kind, _ in changes)


def write(results, tenant, view):
    """Creates, changes, moves and deletes; each time the next sync tells exactly that."""
    account = view.account
    inbox = account.inbox

    def changed(what, **wanted):
        got = kinds_of(view.sync_items())
        results.check(what, got, collections.Counter(wanted))
        compare(results, what, view, tenant)

    plain = Message(
        account=account,
        folder=inbox,
        subject="Größe & <co> 文件",
        body=HTMLBody("<p>x</p>"),
        to_recipients=[Mailbox(email_address="bob@contoso.example")],
        categories=["Red", "Blue"],
        importance="High",
        is_read=False,
    )
    plain.attach(FileAttachment(name="a.bin", content=bytes(range(256)) * 10))
    plain.save()
    changed("one message created", create=1)
    again = inbox.get(id=plain.id, changekey=plain.changekey)
    results.check("properties come back", (again.subject, again.importance, again.categories, again.is_read), (plain.subject, "High", ["Red", "Blue"], False))
    results.check("recipients come back", [r.email_address for r in again.to_recipients], ["bob@contoso.example"])
    results.check("the attachment comes back", again.attachments[0].content, bytes(range(256)) * 10)

    mime = b"From: x@y.z\r\nSubject: by MIME\r\nMessage-ID: <mime@contoso.example>\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
    sent = datetime.datetime(2024, 5, 1, 7, 59, 58, tzinfo=UTC)
    restored = Message(account=account, folder=inbox, mime_content=mime, item_class="IPM.Note", is_read=True)
    restored.message_flags = 1
    restored.delivery_time = as_ews(sent + datetime.timedelta(seconds=2))
    restored.submit_time = as_ews(sent)
    restored.save()
    changed("one message restored from MIME", create=1)
    back = inbox.all().only("mime_content", "subject", "message_id", "is_draft", "datetime_received", "datetime_sent", "search_key", "is_read").get(message_id="<mime@contoso.example>")
    results.check("MIME comes back byte for byte", back.mime_content, mime)
    results.check("what MIME says", (back.subject, back.is_draft, back.is_read), ("by MIME", False, True))
    results.check("times come back", (back.datetime_received, back.datetime_sent), (sent + datetime.timedelta(seconds=2), sent))

    again.subject = "changed"
    old_key = again.changekey
    again.save(update_fields=["subject"])
    results.check("a change gives a new change key", again.changekey != old_key)
    changed("one message changed", update=1)
    again.is_read = True
    again.save(update_fields=["is_read"])
    changed("one message marked as read", read_flag_change=1)

    results.check("a search key is kept", len(back.search_key), 16)
    old_id, target = back.id, inbox / "Projects"
    back.move(target)
    results.check("a move gives a new id", back.id != old_id)
    moved = target.all().only("search_key").get(id=back.id)
    results.check("the search key survives a move", moved.search_key, back.search_key)
    changed("one message moved", create=1, delete=1)
    gone = list(account.fetch([(old_id, None)]))
    results.check("the old id is gone", type(gone[0]), ErrorItemNotFound)
    swapped = list(account.fetch([(back.id.swapcase(), None)]))
    results.check("ids are case-sensitive", type(swapped[0]), ErrorInvalidIdMalformed)

    again.move_to_trash()
    changed("one message put in the bin", create=1, delete=1)
    moved.delete()
    changed("one message deleted", delete=1)
    write_others(results, account, changed)


def as_ews(moment):
    from exchangelib import EWSDateTime

    return EWSDateTime.from_datetime(moment).astimezone(zone())


def zone():
    from exchangelib import EWSTimeZone

    return EWSTimeZone("UTC")


def write_others(results, account, changed):
    """Events, contacts and tasks by their typed properties."""
    start = as_ews(datetime.datetime(2026, 7, 1, 9, 0, tzinfo=UTC))
    event = CalendarItem(account=account, folder=account.calendar, subject="Planning", start=start, end=start + datetime.timedelta(hours=1), location="Here")
    event.save()
    changed("one event created", create=1)
    stored = account.calendar.get(id=event.id)
    results.check("event properties", (stored.subject, stored.start, stored.location), ("Planning", start, "Here"))
    results.check("event MIME is iCalendar", stored.mime_content.startswith(b"BEGIN:VCALENDAR"))
    stored.location = "There"
    stored.save(update_fields=["location"])
    changed("one event changed", update=1)
    results.check("the change is in the MIME", b"LOCATION:There" in account.calendar.get(id=event.id).mime_content)

    contact = Contact(
        account=account,
        folder=account.contacts,
        given_name="Zoë",
        surname="Zander",
        display_name="Zoë Zander",
        file_as="Zander, Zoë",
        email_addresses=[EmailAddress(label="EmailAddress1", email="zoe@contoso.example")],
        phone_numbers=[PhoneNumber(label="MobilePhone", phone_number="123")],
    )
    contact.save()
    changed("one contact created", create=1)
    stored = account.contacts.get(id=contact.id)
    results.check("contact properties", (stored.given_name, stored.email_addresses[0].email, stored.phone_numbers[0].phone_number), ("Zoë", "zoe@contoso.example", "123"))
    stored.email_addresses = [EmailAddress(label="EmailAddress1", email="z@contoso.example")]
    stored.save(update_fields=["email_addresses"])
    changed("one contact changed", update=1)
    results.check("the address changed", account.contacts.get(id=contact.id).email_addresses[0].email, "z@contoso.example")

    due = datetime.date(2026, 8, 1)
    from exchangelib import EWSDate

    task = Task(account=account, folder=account.tasks, subject="Do it", due_date=EWSDate.from_date(due))
    task.save()
    changed("one task created", create=1)
    fetch = lambda: list(account.fetch([(task.id, task.changekey)], only_fields=["mime_content"]))
    results.raises("a task with a due date has no MIME", ErrorUnsupportedMimeConversion, fetch)
    stored = account.tasks.all().only("subject", "due_date").get(id=task.id)
    results.check("task properties", (stored.subject, stored.due_date), ("Do it", due))
    for item in (event, contact, task):
        account.bulk_delete([(item.id, None)], delete_type="HardDelete")
    changed("all three deleted", delete=3)


def folders(results, tenant, view):
    """Folders created, renamed, moved and deleted."""
    account = view.account

    def changed(what, wanted):
        got = [(kind, getattr(folder, "name", None)) for kind, folder in view.sync_hierarchy()]
        results.check(what, sorted(got, key=repr), sorted(wanted, key=repr))
        view.sync_items()
        compare(results, what, view, tenant)

    new = Folder(parent=account.inbox, name="Brand new")
    new.save()
    changed("one folder created", [("create", "Brand new")])
    results.raises("names are unique whatever their case", ErrorFolderExists, lambda: Folder(parent=account.inbox, name="BRAND NEW").save())
    below = Folder(parent=new, name="Below")
    below.save()
    new.name = "Renamed"
    new.save(update_fields=["name"])
    changed("one folder created, one renamed", [("create", "Below"), ("update", "Renamed")])
    Message(account=account, folder=below, subject="in a folder").save()
    view.sync_items()
    identity = below.id
    below.move(account.drafts)
    changed("one folder moved", [("update", "Below")])
    results.check("a folder's id survives a move", below.id, identity)
    results.check("its items move with it", view.path(view.folders[identity]), ("Drafts", "Below"))
    new.delete()
    below.delete()
    changed("two folders deleted", [("delete", None), ("delete", None)])


def export(results, view, tenant):
    """ExportItems and UploadItems keep everything."""
    account = view.account
    inbox = account.inbox
    everything = inbox.all().only("subject", "mime_content", "search_key", "datetime_received", "categories")
    source = [item for item in everything if isinstance(item, Message)][:3]
    exported = list(account.export([(i.id, i.changekey) for i in source]))
    results.check("items are exported", [e for e in exported if isinstance(e, Exception)], [])
    uploaded = list(account.upload((inbox, data) for data in exported))
    results.check("items are uploaded under new ids", len({i[0] for i in uploaded} - {i.id for i in source}), 3)
    copies = list(account.fetch(uploaded, only_fields=["subject", "mime_content", "search_key", "datetime_received", "categories"]))
    for original, copy in zip(source, copies):
        same = [getattr(copy, n) == getattr(original, n) for n in ("subject", "mime_content", "search_key", "datetime_received", "categories")]
        results.check("an uploaded item is the same", same, [True] * 5)
    results.check("the uploads are told", kinds_of(view.sync_items()), collections.Counter(create=3))
    account.bulk_delete(uploaded, delete_type="HardDelete")
    results.check("their deletion is told", kinds_of(view.sync_items()), collections.Counter(delete=3))
    damaged = list(account.upload([(inbox, exported[0][:-8])]))
    results.check("truncated data is refused", type(damaged[0]), ErrorCorruptData)
    compare(results, "export and upload", view, tenant)


def random_changes(results, tenant, views):
    """Random changes of the tenant, followed incrementally."""
    total = collections.Counter()
    for seed in range(1, 5):
        tenant.post("/control/change", {"seed": seed, "count": 60})
        for person, view in views.items():
            view.changes.clear()
            view.sync_hierarchy()
            view.sync_items(page=5)
            total.update(view.changes)
            compare(results, f"{person} after random changes {seed}", view, tenant)
    results.check("all kinds of change happened", sorted(total), ["create", "delete", "read_flag_change", "update"])


def refusals(results, tenant, views):
    """What a server must not accept."""
    view = views["ann"]
    other = views["bob"]
    account = view.account
    inbox = account.inbox

    def sync(state):
        service = SyncFolderItems(account=account)
        return list(service.call(folder=inbox, shape="IdOnly", additional_fields=None, sync_state=state, ignore=None, max_changes_returned=10, sync_scope=None))

    drafts = view.states[account.drafts.id]
    results.raises("garbage is no sync state", ErrorInvalidSyncStateData, lambda: sync("Z2FyYmFnZQ=="))
    results.raises("another folder's state is refused", ErrorInvalidSyncStateData, lambda: sync(drafts))
    results.raises("another mailbox's state is refused", ErrorInvalidSyncStateData, lambda: sync(other.states[other.account.inbox.id]))
    results.raises("the hierarchy's state is refused", ErrorInvalidSyncStateData, lambda: sync(view.hierarchy_state))
    results.raises("a truncated state is refused", ErrorInvalidSyncStateData, lambda: sync(view.states[inbox.id][:-8]))
    foreign = list(account.fetch([(i, None) for i in list(other.items[other.account.inbox.id])[:1]]))
    results.check("an impersonated user sees only their own items", type(foreign[0]), ErrorItemNotFound)
    results.raises("an unknown mailbox", ErrorNonExistentMailbox, lambda: tenant.account("nobody@contoso.example").inbox)
    results.raises("a wrong password", UnauthorizedError, lambda: tenant.account("ann@contoso.example", 1, "wrong").inbox)


def without_impersonation(results, tenant):
    """The pool's accounts may also open mailboxes by naming them."""
    account = tenant.account("carol@contoso.example", 2, access=DELEGATE)
    results.check("a mailbox opened by name", account.inbox.all().count(), account.inbox.total_count)
    results.check("its folders", "Projects" in [f.name for f in account.inbox.children])


def rights(results, tenant):
    """An account without the right is refused; with it again, served."""
    user = tenant.accounts[2][0]
    tenant.post("/control/account", {"user": user, "impersonation": False})
    results.raises("no right to impersonate", ErrorImpersonateUserDenied, lambda: tenant.account("ann@contoso.example", 2).inbox)
    tenant.post("/control/account", {"user": user, "impersonation": True})
    results.check("the right is back", tenant.account("ann@contoso.example", 2).inbox.name, "Inbox")


def faults(results, tenant, account):
    """A damaged item fails alone, as often as it is asked for, until it is mended."""
    ids = [(i.id, None) for i in account.inbox.all().only("subject")[:3]]
    broken = {"service": "exchange", "item": ids[1][0], "kind": {"type": "item", "code": "ErrorCorruptData"}}
    tenant.post("/control/fault", broken)
    types = [isinstance(i, ErrorCorruptData) for i in account.fetch(ids, only_fields=["subject"])]
    results.check("one damaged item", types, [False, True, False])
    tenant.post("/control/fault/clear", {})
    types = [isinstance(i, Exception) for i in account.fetch(ids, only_fields=["subject"])]
    results.check("no damaged item", types, [False, False, False])


def without_export(results, tenant, account):
    """A server without ExportItems answers with a fault that names the operation."""
    ids = [(i.id, i.changekey) for i in account.inbox.all().only("subject")[:1]]
    tenant.post("/control/exchange", {"export_items": False})
    results.raises("no export", SOAPError, lambda: list(account.export(ids)))
    tenant.post("/control/exchange", {})
    results.check("export again", isinstance(list(account.export(ids))[0], str))


def throttling(results, tenant):
    """exchangelib obeys a back-off: everything arrives, and nothing is asked while the account is to stay away."""
    tenant.post("/control/counters/reset", {})
    tenant.post("/control/throttle", {"service": "exchange", "per_second": 5, "burst": 3, "penalty_ms": 300})
    # Connections are shared between accounts, and with them the policy they began with.
    Protocol.clear_cache()
    account = tenant.account("eve@contoso.example", retries=FaultTolerance(max_wait=120))
    count = sum(1 for folder in [account.inbox, account.sent, account.drafts] for _ in folder.all().only("subject"))
    tenant.post("/control/throttle", {"service": "exchange"})
    counters = json.loads(tenant.get("/control/counters"))
    results.check("throttled requests succeed in the end", count > 10)
    results.check("there was throttling", sum(counters["throttled"].values()) > 0)
    results.check("no request inside a back-off", counters["inside_backoff"], {})


def directory(results, account):
    """Names, groups, settings."""
    names = account.protocol.resolve_names(["ann"])
    results.check("one name", [n.email_address for n in names], ["ann@contoso.example"])
    members = account.protocol.expand_dl(DLMailbox(email_address="all@contoso.example", mailbox_type="PublicDL"))
    results.check("a group's members", sorted(m.email_address for m in members), [f"{p}@contoso.example" for p in PEOPLE])
    results.check("nobody is away", account.oof_settings.state, "Disabled")
    zones = list(account.protocol.get_timezones(return_full_timezone_data=True))
    results.check("time zones", [z.id for z in zones], ["UTC"])
    results.check("the version is told", account.version.build.major_version, 15)


def public_folders(results, tenant):
    """Public folders, level by level, and what they do not have."""
    account = tenant.account("ann@contoso.example")
    found = collections.Counter()

    def visit(folder, path):
        for child in folder.children:
            below = (*path, child.name)
            found["folder", below, child.folder_class] += 1
            for item in child.all().only("subject", "item_class"):
                found[item.item_class, below, plain(item.subject)] += 1
            visit(child, below)

    visit(account.public_folders_root, ())
    wanted = collections.Counter(
        ("folder", tuple(line["path"]), line["folder_class"])
        if line["kind"] == "folder"
        else (line["item_class"], tuple(line["path"]), plain(line["subject"]))
        for line in tenant.manifest("Public Folders")
    )
    results.check("public folders: as in the manifest", found, wanted)
    results.check("public folders: there are some", sum(wanted.values()) > 15)
    child = next(iter(account.public_folders_root.children))
    refused = lambda: list(child.sync_items(only_fields=["subject"]))
    results.raises("public folders have no sync state", ErrorInvalidOperation, refused)


def settings(results, tenant):
    """The automatic reply, delegates, categories, rules and permissions, as the manifest says."""
    for person in ("ann", "dora"):
        lines = [json.loads(line) for line in tenant.get("/control/manifest").splitlines() if line.strip()]
        address = f"{person}@contoso.example"
        held = {line["name"]: line["holds"] for line in lines if line.get("kind") == "settings" and line["mailbox"] == address}
        account = tenant.account(address)
        reply = account.oof_settings
        away = reply.internal_reply if reply.state == "Enabled" else reply.state
        results.check(f"{person}: out of office", [away], held["Out of Office.json"])
        delegates = [delegate.user_id.primary_smtp_address for delegate in account.delegates]
        results.check(f"{person}: delegates", delegates, held["Delegates.json"])
        listed = account.calendar.get_user_configuration(name="CategoryList", properties="XmlData").xml_data
        text = listed.decode() if isinstance(listed, bytes) else listed
        results.check(f"{person}: categories", [name for name in held["Categories.json"] if name not in text], [])
        if hasattr(account, "rules"):
            rules = [rule.display_name for rule in account.rules]
            results.check(f"{person}: rules", rules, held["Inbox Rules.json"])
        permissions = account.calendar.permission_set.calendar_permissions
        people = [one.user_id.primary_smtp_address for one in permissions if one.user_id.primary_smtp_address]
        results.check(f"{person}: who may do what in the calendar", sorted(people), sorted(held["Folder Permissions.json"]))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tenant = Tenant(sys.argv[1])
    results = Results()
    views = read_everything(results, tenant)
    ann = views["ann"].account
    find_items(results, ann)
    attachments(results, ann)
    directory(results, ann)
    public_folders(results, tenant)
    settings(results, tenant)
    write(results, tenant, views["bob"])
    folders(results, tenant, views["carol"])
    export(results, views["dora"], tenant)
    random_changes(results, tenant, views)
    refusals(results, tenant, views)
    without_impersonation(results, tenant)
    rights(results, tenant)
    faults(results, tenant, ann)
    without_export(results, tenant, ann)
    throttling(results, tenant)
    print(f"{results.passed} passed, {results.failed} failed")
    sys.exit(1 if results.failed else 0)


if __name__ == "__main__":
    main()
