#!/usr/bin/env python3
"""Office 365 against the simulated tenant: equal to its manifest, incremental, and unharmed by whatever goes wrong there.

usage: tenant.py [PART]…      parts: equal owed vanish revoke throttle big (default: all)
"""

import collections
import json
import os
import sys
import time

from harness import MEMORY_MAX, Room, Score, megabytes, say

CHANGES = 200
RATIO_MIN = 2.7
THROTTLE = {"per_second": 60, "burst": 60, "penalty_ms": 500}
BIG_FILE = 2 << 30
BIG_MESSAGE = 100 << 20
MAIL_KINDS = ("message", "event", "contact", "note", "task")


def main():
    parts = {
        "equal": equal,
        "owed": owed,
        "vanish": vanish,
        "revoke": revoke,
        "throttle": throttle,
        "big": big,
    }
    score = Score("tenant")
    for name in sys.argv[1:] or parts:
        say(f"  -- {name}")
        with Room(f"tenant-{name}") as room:
            parts[name](room, score)
    score.close()


def prepare(room, *arguments, accounts=None):
    """A tenant, a set over it, a new repository."""
    tenant = room.tenant(*arguments)
    room.environment.update(tenant.secrets())
    room.configure(tenant.set_text(accounts))
    room.must("init")
    return tenant


def run(room, score, what, codes=(0,), **more):
    """One run, with its memory."""
    ended = room.larder("run", "contoso", "--json", **more)
    finished(score, what, ended, codes)
    return ended


def finished(score, what, ended, codes):
    """Tells how a run ended."""
    keys = ("items", "read_items", "deleted", "owed", "outcome", "incomplete_containers")
    told = {key: ended.summary.get(key) for key in keys} if ended.summary else ended.said[-1000:]
    score.check(f"{what}: exit code", ended.code in codes, f"{ended.code}, {ended.seconds:.1f} s, {told}")
    score.check(f"{what}: peak memory", ended.peak < MEMORY_MAX, megabytes(ended.peak))


def listed(room, snapshot="latest"):
    """All of a snapshot."""
    return room.must("ls", snapshot, "--set", "contoso", "--recursive", "--json").records


# --- equal to the manifest, first and after changes


def equal(room, score):
    """First run, restore, 200 changes, incremental run, restore: each time what the tenant holds."""
    tenant = prepare(room)
    run(room, score, "first run")
    before_list, before = listed(room), tenant.manifest()
    compare(room, score, "first run", before_list, before)
    restored(room, score, "first run", before_list)
    tenant.control("counters/reset", {})
    idle = run(room, score, "nothing changed").summary
    fetched = tenant.counters()["items_fetched"]
    score.check("nothing changed: nothing read", idle.get("read_items") == 0 and not fetched, f"{idle.get('read_items')} items, {len(fetched)} fetched")
    tenant.control("change", {"seed": 7, "count": CHANGES})
    tenant.control("counters/reset", {})
    run(room, score, f"{CHANGES} changes")
    counters = tenant.counters()
    after_list, after = listed(room), tenant.manifest()
    compare(room, score, f"{CHANGES} changes", after_list, after)
    only_changed(score, counters["items_fetched"], (before_list, before), (after_list, after))
    restored(room, score, f"{CHANGES} changes", after_list)


def compare(room, score, what, records, manifest):
    """Every entry of the manifest is in the listing, as often, and nothing else."""
    items = [record for record in records if record["type"] == "item"]
    same(score, f"{what}: files by path and BLAKE3", wanted_files(manifest), files_of(items))
    same(score, f"{what}: earlier versions by path, label and BLAKE3", wanted_versions(manifest), versions_of(items))
    same(score, f"{what}: permissions of their own", wanted_permissions(manifest), permissions_of(items))
    same(score, f"{what}: attachments by item, name and BLAKE3", wanted_attachments(manifest), attachments_of(items))
    same(score, f"{what}: mailbox items by folder, kind and BLAKE3", wanted_mail(manifest), mail_of(items, manifest))
    same(score, f"{what}: folders", wanted_folders(manifest), folders_of(items, manifest))
    sites = collections.Counter(site_path(entry) for entry in manifest if entry["kind"] == "site")
    have = {record["path"] for record in records if record["type"] == "container"}
    score.check(f"{what}: sites", set(sites) <= have, sorted(set(sites) - have) or len(sites))
    list_fields(room, score, what, items, manifest)


def same(score, what, wanted, have):
    """Compares two counts."""
    missing, extra = wanted - have, have - wanted
    detail = f"{sum(wanted.values())} wanted"
    if missing or extra:
        detail += f"; {sum(missing.values())} missing {list(missing)[:3]}; {sum(extra.values())} too many {list(extra)[:3]}"
    score.check(what, not missing and not extra and wanted, detail)


def site_path(entry):
    """Where a site stands in a snapshot."""
    site = entry["site"].strip("/")
    return "/sharepoint/" + (site or "@root")


def place(entry):
    """Where a list, folder, file or list item of SharePoint stands in a snapshot."""
    below = entry["path"].removeprefix(entry["site"].rstrip("/")).lstrip("/").removeprefix("Lists/")
    return f"{site_path(entry)}/{below}" + (".json" if entry["kind"] == "list_item" else "")


def mail_place(entry):
    """Where a mail folder stands in a snapshot: a name there holds no slash."""
    names = [name.replace("/", "_").replace("\\", "_") for name in entry["path"]]
    return "/".join(["/exchange", entry["mailbox"], *names])


def of_kind(manifest, service, *kinds):
    """Entries of some kinds."""
    return [entry for entry in manifest if entry["service"] == service and entry["kind"] in kinds]


def content(item):
    """An item's own content stream, or nothing."""
    return next((stream for stream in item["streams"] if stream["name"] == "content"), {})


def wanted_files(manifest):
    return collections.Counter((place(e), e["size"], e["blake3"]) for e in of_kind(manifest, "sharepoint", "file"))


def files_of(items):
    return collections.Counter(
        (item["path"], content(item).get("size"), content(item).get("blake3")) for item in items if item["kind"] == "file"
    )


def wanted_versions(manifest):
    return collections.Counter(
        (place(entry), version["label"], version["blake3"])
        for entry in of_kind(manifest, "sharepoint", "file")
        for version in entry["versions"]
    )


def versions_of(items):
    return collections.Counter(
        (item["path"], stream["name"].removeprefix("version/"), stream["blake3"])
        for item in items
        for stream in item["streams"]
        if item["kind"] == "file" and stream["name"].startswith("version/")
    )


def wanted_permissions(manifest):
    kinds = ("list", "library", "folder", "file", "list_item")
    return collections.Counter(place(entry) for entry in of_kind(manifest, "sharepoint", *kinds) if entry["permissions"])


def permissions_of(items):
    return collections.Counter(
        item["path"] for item in items for stream in item["streams"] if stream["name"] == "permissions.json"
    )


def wanted_attachments(manifest):
    return collections.Counter(
        (place(entry), part["name"], part["blake3"])
        for entry in of_kind(manifest, "sharepoint", "list_item")
        for part in entry["attachments"]
    )


def attachments_of(items):
    return collections.Counter(
        (item["path"], stream["name"].removeprefix("attachment/"), stream["blake3"])
        for item in items
        for stream in item["streams"]
        if item["kind"] == "list_item" and stream["name"].startswith("attachment/")
    )


def wanted_mail(manifest):
    return collections.Counter(
        (mail_place(e), e["kind"], e["blake3"])
        for e in of_kind(manifest, "exchange", *MAIL_KINDS)
    )


def mail_of(items, manifest):
    """Some tasks have no MIME of the server's own: theirs is ours, and its digest is not compared."""
    known = {e["blake3"] for e in of_kind(manifest, "exchange", *MAIL_KINDS)}
    count = collections.Counter()
    for item in items:
        if item["kind"] in MAIL_KINDS:
            digest = content(item).get("blake3")
            ours = item["kind"] == "task" and digest not in known
            count[os.path.dirname(item["path"]), item["kind"], None if ours else digest] += 1
    return count


def wanted_folders(manifest):
    places = [place(e) for e in of_kind(manifest, "sharepoint", "folder", "list", "library")]
    places += [mail_place(e) for e in of_kind(manifest, "exchange", "folder")]
    return collections.Counter(places)


def folders_of(items, manifest):
    """The folders listed; what a mailbox has beside the manifest's folders (the recoverable items) may be there too."""
    tops = {(e["mailbox"], e["path"][0]) for e in of_kind(manifest, "exchange", "folder")}
    count = collections.Counter()
    for item in items:
        parts = item["path"].split("/")
        known = item["kind"] != "settings" and (parts[1] != "exchange" or (parts[2], parts[3]) in tops)
        if item["folder"] and known:
            count[item["path"]] += 1
    return count


def list_fields(room, score, what, items, manifest):
    """The JSON of each list item holds the fields that the manifest names."""
    target = room.join("fields")
    room.must("restore", "latest:/sharepoint", "--set", "contoso", "--to", target, "--json")
    by_id = {}
    for folder, _, names in os.walk(target):
        for name in names:
            if name.endswith(".json"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    try:
                        read = json.load(file)
                    except ValueError:
                        continue
                if isinstance(read, dict):
                    by_id[str(read.get("UniqueId", read.get("GUID"))).lower()] = read
    wrong = []
    entries = of_kind(manifest, "sharepoint", "list_item")
    for entry in entries:
        have = by_id.get(entry["unique_id"].lower())
        if have is None:
            wrong.append((place(entry), "not restored"))
            continue
        wrong += [(place(entry), name, value, have.get(name)) for name, value in entry["fields"].items() if have.get(name) != value]
    count = sum(len(entry["fields"]) for entry in entries)
    score.check(f"{what}: list items' fields", entries and not wrong, f"{count} fields of {len(entries)} items; wrong: {len(wrong)} {wrong[:2]}")


def restored(room, score, what, records):
    """A restore of all brings back each stream with its size."""
    target = room.join("restored-" + what.replace(" ", "-"))
    ended = room.larder("restore", "latest", "--set", "contoso", "--to", target, "--json")
    summary = ended.summary
    score.check(f"{what}: restore", ended.code == 0 and not summary["failed"], f"exit {ended.code}, {summary.get('files')} files" if summary else ended.said[-600:])
    score.check(f"{what}: restore's peak memory", ended.peak < MEMORY_MAX, megabytes(ended.peak))
    streams = [stream for record in records if record["type"] == "item" for stream in record["streams"]]
    wanted = collections.Counter(stream["size"] for stream in streams)
    have = collections.Counter(
        os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(target) for name in names
    )
    same(score, f"{what}: restored files on disk by size", wanted, have)


def only_changed(score, fetched, before, after):
    """What the tenant sent was new or changed, and each once."""
    (before_list, old), (after_list, new) = before, after
    had = {record["id"] for record in before_list if record["type"] == "item"}
    now = {record["id"]: record for record in after_list if record["type"] == "item"}
    sharepoint = {e["unique_id"]: bare(e) for e in old if "unique_id" in e}
    changed_sharepoint = {e["unique_id"] for e in new if "unique_id" in e and sharepoint.get(e["unique_id"]) != bare(e)}
    mail = collections.Counter(bare(e) for e in old if e["service"] == "exchange")
    changed_mail = {e["blake3"] for e in new if e["service"] == "exchange" and mail[bare(e)] == 0 and e.get("blake3")}
    tasks = any(e["kind"] == "task" and mail[bare(e)] == 0 for e in new)
    needless = []
    for name in fetched:
        item = now.get(name)
        if name.split("/")[0] in changed_sharepoint or (item and name not in had):
            continue
        if item and (content(item).get("blake3") in changed_mail or (item["kind"] == "task" and tasks)):
            continue
        needless.append(name if item is None else f"{item['kind']} {item['path']}")
    total = len([e for e in old if e["kind"] not in ("site", "list", "library", "folder")])
    detail = f"{len(fetched)} of {total} fetched for {CHANGES} changes; needless: {len(needless)} {needless[:3]}"
    score.check("only what changed is fetched", fetched and not needless and len(fetched) < total / 2, detail)
    twice = {name: count for name, count in fetched.items() if count > 1}
    score.check("each is fetched once", not twice, f"{len(twice)} twice {list(twice.items())[:3]}")


def bare(entry):
    """An entry without where its folder lies."""
    kept = {key: value for key, value in entry.items() if key != "path"}
    if entry["service"] == "sharepoint":
        kept["name"] = os.path.basename(entry["path"])
    return json.dumps(kept, sort_keys=True)


# --- what goes wrong


def owed(room, score):
    """An item that fails once and never changes again is in the next snapshot."""
    tenant = prepare(room)
    manifest = tenant.manifest()
    file = max(of_kind(manifest, "sharepoint", "file"), key=lambda e: e["size"])
    message = max((e for e in of_kind(manifest, "exchange", "message") if e["internet_message_id"]), key=lambda e: e["size"])
    tenant.control("fault", {"service": "sharepoint", "item": file["path"], "kind": {"type": "item", "status": 500}})
    fault = {"service": "exchange", "item": message["internet_message_id"], "kind": {"type": "item"}}
    tenant.control("fault", fault)
    first = run(room, score, "two items fail", codes=(3,)).summary
    score.check("two items fail: they are owed", first.get("owed") == 2, first.get("owed"))
    digests = {content(record).get("blake3") for record in listed(room) if record["type"] == "item"}
    score.check("two items fail: the others are there", len(digests) > 400, len(digests))
    second = run(room, score, "still failing", codes=(3,)).summary
    score.check("still failing: still owed", second.get("owed") == 2, second.get("owed"))
    tenant.control("fault/clear", {})
    tenant.control("counters/reset", {})
    third = run(room, score, "healed").summary
    score.check("healed: nothing is owed", third.get("owed") == 0, third.get("owed"))
    fetched = tenant.counters()["items_fetched"]
    score.check("healed: only the two were fetched", len(fetched) == 2, fetched)
    compare(room, score, "healed", listed(room), tenant.manifest())


def vanish(room, score):
    """A site that vanishes from discovery is carried over, and comes back."""
    tenant = prepare(room)
    run(room, score, "before")
    before = [r for r in listed(room) if r["path"].startswith("/sharepoint/sites/a/")]
    tenant.control("fault", {"service": "sharepoint", "item": "/sites/a", "kind": {"type": "vanish"}})
    run(room, score, "site gone", codes=(0, 3))
    records = listed(room)
    after = [r for r in records if r["path"].startswith("/sharepoint/sites/a/")]
    score.check("site gone: all of it is still there", before and before == after, f"{len(before)} and {len(after)} records")
    container = next((r for r in records if r["path"] == "/sharepoint/sites/a"), {})
    score.check("site gone: it says since when", container.get("gone_since"), container.get("gone_since"))
    tenant.control("fault/clear", {})
    run(room, score, "site back")
    records = listed(room)
    container = next((r for r in records if r["path"] == "/sharepoint/sites/a"), {})
    score.check("site back: no longer gone", container and container["gone_since"] is None, container)
    compare(room, score, "site back", records, tenant.manifest())


def revoke(room, score):
    """An account is revoked in the middle of a run: the others finish its work."""
    tenant = prepare(room, "--throttle", '{"latency_ms":60}')
    user = tenant.about["accounts"][1]["user"]
    running = room.start("run", "contoso", "--json")
    time.sleep(3)
    score.check("revoked in mid-run", not running.ended())
    tenant.control("revoke", {"user": user})
    ended = running.wait()
    finished(score, "revoked account", ended, (0,))
    score.check("revoked account: it is named", user in ended.said, [line for line in ended.said.splitlines() if user in line][:2])
    tenant.control("throttle", {})
    compare(room, score, "revoked account", listed(room), tenant.manifest())
    for account in tenant.about["accounts"]:
        tenant.control("revoke", {"user": account["user"]})
    ended = room.larder("run", "contoso", "--json")
    score.check("all revoked: an error, not a snapshot of nothing", ended.code in (1, 3), f"exit {ended.code}: {ended.said[-500:]}")
    records = listed(room)
    score.check("all revoked: nothing is lost", len([r for r in records if r["type"] == "item"]) > 1000, len(records))


def throttle(room, score):
    """Three accounts are at least 2.7 times as fast as one, and none comes back before its time."""
    seconds = {}
    for accounts in (1, 3):
        with Room(f"throttle-{accounts}") as inner:
            tenant = prepare(inner, "--throttle", json.dumps(THROTTLE), accounts=accounts)
            ended = run(inner, score, f"{accounts} accounts")
            seconds[accounts] = ended.seconds
            counters = tenant.counters()
            early = sum(counters["inside_backoff"].values())
            asked = sum(n for s in counters["requests"].values() for o in s.values() for n in o.values())
            score.check(f"{accounts} accounts: no request inside a back-off", early == 0, f"{counters['inside_backoff']}")
            say(f"  {asked} requests, throttled {counters['throttled']}")
            report = inner.larder("report", "latest", "--json").records
            waited = {who for one in report if one["type"] == "container" for who in one["work"]["waited_ms"]}
            users = {account["user"] for account in tenant.about["accounts"]}
            score.check(f"{accounts} accounts: the report says who waited", waited and waited <= users, waited)
            compare(inner, score, f"{accounts} accounts", listed(inner), tenant.manifest())
    ratio = seconds[1] / seconds[3]
    score.check(f"three accounts are {RATIO_MIN} times as fast", ratio >= RATIO_MIN, f"{seconds[1]:.1f} s / {seconds[3]:.1f} s = {ratio:.2f}")


def big(room, score):
    """A file of 2 GiB and a message of 100 MiB within the same memory."""
    tenant = prepare(room, "--big-file", str(BIG_FILE), "--big-message", str(BIG_MESSAGE))
    run(room, score, "big")
    manifest, records = tenant.manifest(), listed(room)
    compare(room, score, "big", records, manifest)
    sizes = {entry.get("size") or 0 for entry in manifest}
    score.check("big: they are there", BIG_FILE in sizes and max(s for s in sizes if s != BIG_FILE) >= BIG_MESSAGE * 0.9, sorted(sizes)[-2:])
    restored(room, score, "big", records)
    check = room.larder("check", "--read-data", "--json")
    score.check("big: check --read-data", check.code == 0, f"{check.seconds:.1f} s, {megabytes(check.peak)}")
    score.check("big: check's peak memory", check.peak < MEMORY_MAX, megabytes(check.peak))


if __name__ == "__main__":
    main()
