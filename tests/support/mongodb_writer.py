"""Writes to a replica set while it is dumped.

    fill(client)            accounts in pairs: `bank.left` and `bank.right` with the same `_id` hold 100 together
    move(client, moves, first)  moves money between the two accounts of a pair, each move in a transaction
    churn(client)           everything else that an oplog can have: DDL, users, large and prepared transactions
    broken(client)          how many pairs do not hold 100
"""


import bson

PAIRS = 1500


def fill(client):
    pad = "p" * 14000
    client.bank.left.insert_many([{"_id": number, "money": 50, "pad": pad} for number in range(PAIRS)])
    client.bank.right.insert_many([{"_id": number, "money": 50, "pad": pad} for number in range(PAIRS)])
    client.bank.unique.insert_many([{"_id": number, "place": number} for number in range(200)])
    client.bank.unique.create_index("place", unique=True)
    client.bank.log.insert_one({"_id": "first"})
    client.bank.create_collection("ring", capped=True, size=1 << 16)
    client.bank.ring.insert_many([{"_id": number} for number in range(100)])
    client.bank.create_collection("series", timeseries={"timeField": "at"})
    client.bank.doomed.insert_many([{"_id": number} for number in range(100)])
    client.bank.command("create", "rich", viewOn="left", pipeline=[{"$match": {"money": {"$gt": 60}}}])


def move(client, moves, first=0):
    for number in range(first, first + moves):
        with client.start_session() as session, session.start_transaction():
            pair, amount = {"_id": number * 7 % PAIRS}, number % 9 + 1
            client.bank.left.update_one(pair, {"$inc": {"money": -amount}}, session=session)
            client.bank.right.update_one(pair, {"$inc": {"money": amount}}, session=session)
        if number % 10 == 0:
            client.bank.log.insert_one({"_id": number, "list": [1, 2, 3]})
            client.bank.log.update_one({"_id": number}, {"$push": {"list": number}, "$set": {"a.b": number}})
            client.bank.log.delete_one({"_id": number - 50})
            client.bank.ring.insert_one({"_id": 1000 + number})
            # Two documents change places: a scan that meets both in one place would break a unique index.
            first, second = number % 200, (number + 100) % 200
            a, b = (client.bank.unique.find_one({"_id": one})["place"] for one in (first, second))
            client.bank.unique.update_one({"_id": first}, {"$set": {"place": -1}})
            client.bank.unique.update_one({"_id": second}, {"$set": {"place": a}})
            client.bank.unique.update_one({"_id": first}, {"$set": {"place": b}})


def prepared(client):
    """A transaction that is prepared, and what commits it."""
    session = client.start_session()
    session.start_transaction()
    client.bank.left.update_one({"_id": 3}, {"$set": {"prepared": True}}, session=session)
    client.bank.log.insert_one({"_id": "prepared"}, session=session)
    at = client.admin.command("prepareTransaction", session=session)["prepareTimestamp"]

    def commit():
        client.admin.command({"commitTransaction": 1, "commitTimestamp": at}, session=session)

    return session, commit


def churn(client):
    bank = client.bank
    bank.doomed.drop()
    bank.born.insert_many([{"_id": number, "x": number} for number in range(50)])
    bank.born.create_index("x", name="by x")
    bank.born.delete_one({"_id": 7})
    bank.born.create_index("y", name="gone")
    bank.born.drop_index("gone")
    bank.left.create_index("money", hidden=True, name="hidden")
    bank.command("collMod", "left", index={"name": "hidden", "hidden": False})
    bank.command("collMod", "right", validator={"money": {"$exists": True}}, validationLevel="moderate")
    bank.left.aggregate([{"$match": {"_id": {"$lt": 20}}}, {"$out": "copied"}])
    bank.left.aggregate([{"$match": {"_id": {"$lt": 10}}}, {"$out": "copied"}])
    bank.command("create", "poor", viewOn="left", pipeline=[{"$match": {"money": {"$lt": 40}}}])
    bank.command("collMod", "rich", viewOn="right", pipeline=[])
    bank.command("create", "short", viewOn="left", pipeline=[])
    bank.short.drop()
    bank.series.insert_many([{"at": bson.datetime.datetime(2020, 1, 1, 0, number), "v": number} for number in range(9)])
    bank.create_collection("later", timeseries={"timeField": "at", "granularity": "hours"})
    bank.later.insert_one({"at": bson.datetime.datetime(2021, 1, 1), "v": 1})
    bank.temporary.insert_one({"_id": 1})
    bank.temporary.drop()
    client.brief.a.insert_one({"_id": 1})
    client.drop_database("brief")
    client.fresh.things.insert_one({"_id": 1})
    # Larger than one entry of the oplog may be.
    with client.start_session() as session, session.start_transaction():
        for number in range(3):
            bank.large.insert_one({"_id": number, "big": b"x" * (9 << 20)}, session=session)
    try:
        with client.start_session() as session, session.start_transaction():
            bank.large.insert_one({"_id": "never"}, session=session)
            raise KeyError
    except KeyError:
        pass




def broken(client):
    left = {one["_id"]: one["money"] for one in client.bank.left.find()}
    right = {one["_id"]: one["money"] for one in client.bank.right.find()}
    assert len(left) == len(right) == PAIRS
    return sum(left[number] + right[number] != 100 for number in left)


def broken_in_archive(archive_file):
    """The same of the documents in an archive, without its oplog."""
    import archive as reader
    money = {"left": {}, "right": {}}

    def each(db, collection, document):
        if db == "bank" and collection in money:
            one = bson.decode(document)
            money[collection][one["_id"]] = one["money"]

    with open(archive_file, "rb") as stream:
        reader.read(stream, each)
    return sum(money["left"][number] + money["right"][number] != 100 for number in range(PAIRS))
