"""Fills a MongoDB server with every BSON type, collection option and index kind, and states all facts of a server.

    seed(client)            a replica set's or standalone's databases `zoo` and `annex`, users and roles
    facts(client)           everything that a restore must bring back, as one dictionary
    differences(a, b)       where two such dictionaries differ, in words
"""

import datetime
import hashlib
import random

import bson
from bson import (Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp)
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.son import SON

RAW = CodecOptions(document_class=RawBSONDocument)
DAY = datetime.datetime(2020, 2, 29, 12, 30, 15, 123000)


def element(kind, name, payload):
    return bytes([kind]) + name.encode() + b"\0" + payload


def document(*elements):
    body = b"".join(elements)
    return RawBSONDocument((len(body) + 5).to_bytes(4, "little") + body + b"\0")


def text(value):
    value = value.encode() + b"\0"
    return len(value).to_bytes(4, "little") + value


LATIN = b"\x05\0\0\0caf\xe9\0"


def types(collection):
    """One document per type, and shapes that only raw BSON has."""
    values = [
        1.5, float("inf"), float("-inf"), -0.0, 5e-324, "text ☃ \0 inside", "", {"a": {"b": {}}}, [1, [2, [3, []]]],
        Binary(b"\0\1\2", 0), Binary(b"x" * 16, 3), Binary(b"y" * 16, 4), Binary(b"z" * 16, 5), Binary(b"", 128),
        ObjectId("0123456789abcdef01234567"), True, False, DAY, datetime.datetime(1, 1, 1), None,
        Regex("^a/b", "ix"), Code("function() {}"), Code("f(x)", {"x": 1}), 2**31 - 1, -2**31, Int64(5),
        Int64(2**63 - 1), Int64(-2**63), Timestamp(5, 6), Decimal128("1.50E+10"), Decimal128("NaN"),
        Decimal128("-0"), MinKey(), MaxKey(), DBRef("types", 1), {"$ref": "odd"}, {"dotted.key": 1, "": "empty"},
    ]
    collection.insert_many([{"_id": number, "v": value} for number, value in enumerate(values)])
    raw = [
        document(element(0x10, "_id", (1000).to_bytes(4, "little")), element(0x10, "twice", b"\1\0\0\0"),
                 element(0x02, "twice", text("again"))),
        document(element(0x10, "_id", (1001).to_bytes(4, "little")), element(0x06, "undefined", b"")),
        document(element(0x10, "_id", (1002).to_bytes(4, "little")), element(0x0E, "symbol", text("old"))),
        document(element(0x10, "_id", (1003).to_bytes(4, "little")),
                 element(0x0C, "pointer", text("zoo.types") + b"\1" * 12)),
        document(element(0x10, "_id", (1004).to_bytes(4, "little")),
                 element(0x01, "nan", b"\1\0\0\0\0\0\xf8\xff")),
        document(element(0x10, "_id", (1005).to_bytes(4, "little")), element(0x10, "$dollar", b"\1\0\0\0"),
                 element(0x10, "a.b", b"\2\0\0\0"), element(0x10, "ключ", b"\3\0\0\0")),
        # Text that is not UTF-8, as old drivers have sent it, and servers keep it.
        document(element(0x10, "_id", (1006).to_bytes(4, "little")), element(0x02, "value", LATIN)),
        document(element(0x02, "_id", LATIN), element(0x11, "zero", bytes(8))),
        document(element(0x10, "_id", (1007).to_bytes(4, "little")),
                 element(0x02, "x", LATIN).replace(b"x", b"caf\xe9")),
    ]
    collection.insert_many(raw)
    collection.insert_one({"_id": 2000, "big": b"x" * (16 * 1024 * 1024 - 60)})
    # A server replaces empty timestamps in what is inserted; an update by difference leaves them.
    collection.insert_one({"_id": 2001, "before": 1, "zero": Timestamp(0, 0), "a.b": Timestamp(0, 0), "after": 2})
    collection.database.client.admin.command(
        "applyOps", [{"op": "u", "ns": collection.full_name, "o2": {"_id": 2001},
                      "o": {"$v": 2, "diff": {"u": {"zero": Timestamp(0, 0), "a.b": Timestamp(0, 0)}}}}])


def options(db):
    """Collections with every option, views on views, a time series."""
    db.create_collection("empty")
    db.create_collection("validated", validator={"$jsonSchema": {"required": ["name"]}, "n": {"$gt": Int64(5)}},
                         validationLevel="moderate", validationAction="warn")
    db.validated.insert_many([{"_id": 1, "name": "a", "n": 6}, {"_id": 2}])
    db.create_collection("collated", collation={"locale": "de", "strength": 2, "numericOrdering": True})
    db.collated.insert_many([{"_id": word} for word in ["a", "B", "ä", "10", "9"]])
    db.create_collection("capped", capped=True, size=1 << 20, max=500)
    db.capped.insert_many([{"_id": 700 - number, "n": number} for number in range(700)])
    db.command("create", "clustered", clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "my key"},
               expireAfterSeconds=10**9)
    db.clustered.insert_many([{"_id": number} for number in range(50)])
    db.create_collection("images", changeStreamPreAndPostImages={"enabled": True})
    db.images.insert_one({"_id": 1})
    db.create_collection("stored", storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}})
    db.stored.insert_one({"_id": 1, "x": "y" * 1000})
    db.create_collection("measures", timeseries={"timeField": "at", "metaField": "where", "granularity": "minutes"},
                         expireAfterSeconds=10**9)
    db.measures.insert_many([{"at": DAY + datetime.timedelta(minutes=number), "where": {"room": number % 3},
                              "value": number / 7} for number in range(300)])
    db.measures.create_index([("where.room", 1), ("at", -1)])
    db.command("create", "view", viewOn="validated", pipeline=[{"$match": {"name": {"$exists": True}}}],
               collation={"locale": "fr"})
    db.command("create", "upon.view", viewOn="view", pipeline=[{"$project": {"name": 1}}], collation={"locale": "fr"})
    db["n" * 120].insert_one({"_id": "long name"})
    db["dots.and more/slash %"].insert_one({"_id": 1})
    db["system.js"].insert_one({"_id": "twice", "value": Code("function(x) { return 2 * x }")})


def indexes(db):
    """Every kind of index."""
    c = db.indexed
    c.insert_many([{"_id": number, "a": number, "u": number, "t": f"word{number}", "at": DAY,
                    "p": {"type": "Point", "coordinates": [number % 90, number % 45]}, "flat": [number % 90, 1],
                    "tags": [number, number + 1], "w": {"x": number}} for number in range(200)])
    c.create_index([("a", 1), ("u", -1)], name="two ways")
    c.create_index([("u", 1)], unique=True, sparse=True)
    c.create_index([("a", 1)], partialFilterExpression={"a": {"$gt": 5, "$lt": Int64(100)}}, name="partial")
    c.create_index([("at", 1)], expireAfterSeconds=10**9)
    c.create_index([("t", "text"), ("more", "text")], weights={"t": 3}, default_language="german",
                   language_override="idioma")
    c.create_index([("p", "2dsphere")])
    c.create_index([("flat", "2d")], min=-200, max=200, bits=20)
    c.create_index([("a", "hashed")])
    c.create_index([("tags", 1)], hidden=True)
    c.create_index([("$**", 1)], wildcardProjection={"w": 1, "_id": 0})
    c.create_index([("w.$**", 1)])
    c.create_index([("t", 1)], name="collated", collation={"locale": "sv", "strength": 1})
    c.create_index([("a", -1)], storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}})
    c.create_index([("u", -1)], name="старый ключ")


def ids(db):
    """A collection that is read in ranges: `_id`s of all types that one can have."""
    rng = random.Random(7)
    made = [number for number in range(4000)]
    made += [f"text {number}" for number in range(4000)]
    made += [Int64(2**40 + number) for number in range(1000)]
    made += [number + 0.5 for number in range(1000)]
    made += [ObjectId(number.to_bytes(12, "big")) for number in range(4000)]
    made += [{"a": number, "b": [number]} for number in range(2000)]
    made += [Binary(number.to_bytes(4, "big")) for number in range(1000)]
    made += [DAY + datetime.timedelta(seconds=number) for number in range(1000)]
    made += [Timestamp(1, number + 1) for number in range(500)]
    made += [Decimal128(f"{number}.25") for number in range(500)]
    made += [None, True, False, MinKey(), MaxKey()]
    rng.shuffle(made)
    db.ids.insert_many([{"_id": one, "pad": "p" * rng.randrange(600)} for one in made])


def users(client):
    """Users with both kinds of credentials, roles upon roles."""
    client.admin.command("createRole", "auditor", privileges=[
        {"resource": {"db": "zoo", "collection": "types"}, "actions": ["find", "collStats"]}],
        roles=["read"], authenticationRestrictions=[{"clientSource": ["127.0.0.1"]}])
    client.zoo.command("createRole", "keeper", privileges=[], roles=["readWrite"])
    client.zoo.command("createRole", "head", privileges=[], roles=["keeper"])
    client.admin.command("createUser", "alice", pwd="alice's secret", roles=["auditor", "clusterMonitor"],
                         customData={"team": ["a", 1]})
    client.zoo.command("createUser", "bob", pwd="bob", roles=["head"], mechanisms=["SCRAM-SHA-256"])
    client.annex.command("createUser", "carol", pwd="carol", roles=[], mechanisms=["SCRAM-SHA-1"])


def seed(client):
    types(client.zoo.types)
    options(client.zoo)
    indexes(client.zoo)
    ids(client.zoo)
    client.annex["fs.files"].insert_one({"_id": 1, "length": 3, "chunkSize": 2})
    client.annex["fs.chunks"].insert_many([{"files_id": 1, "n": 0, "data": b"ab"}, {"files_id": 1, "n": 1, "data": b"c"}])
    client.annex["fs.chunks"].create_index([("files_id", 1), ("n", 1)], unique=True)
    users(client)


def plain(value):
    """Types and order included, as text."""
    if isinstance(value, RawBSONDocument):
        return value.raw.hex()
    return repr(value)


def collection_facts(db, listed):
    name, kind = listed["name"], listed["type"]
    found = {"type": kind, "options": plain(RawBSONDocument(bson.encode(listed["options"])))}
    if kind == "view":
        return found
    reply = db.command("listIndexes", name, codec_options=RAW)
    batch = bson.decode(reply.raw, RAW)["cursor"]["firstBatch"]
    found["indexes"] = sorted(index.raw.hex() for index in batch)
    data = "system.buckets." + name if kind == "timeseries" else name
    cursor = db.get_collection(data, codec_options=RAW).find()
    if not listed["options"].get("capped"):
        cursor = cursor.hint([("_id", 1)]) if kind == "collection" and "clusteredIndex" not in listed["options"] else cursor
    hashed, count = hashlib.sha256(), 0
    for one in cursor:
        hashed.update(one.raw)
        count += 1
    found.update(documents=count, sha256=hashed.hexdigest())
    return found


def facts(client, databases=("zoo", "annex"), users=True):
    found = {}
    for name in databases:
        db = client[name]
        listed = db.command("listCollections", codec_options=CodecOptions(document_class=SON))["cursor"]["firstBatch"]
        for one in listed:
            if not one["name"].startswith("system.") or one["name"] == "system.js":
                found[f"{name}.{one['name']}"] = collection_facts(db, one)
        hashes = db.command("dbHash")["collections"]
        found[f"dbHash {name}"] = {key: value for key, value in hashes.items() if key != "system.views"}
    if users:
        info = client.admin.command("usersInfo", {"forAllDBs": True}, showCredentials=True)["users"]
        found["users"] = {one["_id"]: repr(one) for one in info}
        roles = client.admin.with_options(codec_options=RAW)["system.roles"].find()
        found["roles"] = {bson.decode(one.raw)["_id"]: one.raw.hex() for one in roles}
    return found


def differences(a, b):
    found = []
    for key in sorted(set(a) | set(b)):
        if a.get(key) == b.get(key):
            continue
        ours, theirs = a.get(key), b.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found += [f"{key}: {inner}: {ours.get(inner)!r} != {theirs.get(inner)!r}"
                      for inner in sorted(set(ours) | set(theirs)) if ours.get(inner) != theirs.get(inner)]
        else:
            found.append(f"{key}: {ours!r} != {theirs!r}")
    return found
