"""Google's own client against the fake: every kind of request, every answer held against Google's own description.

Arguments: the fake's root, the name of a file that the agent has uploaded, and its SHA-256.
"""
import hashlib
import io
import json
import os
import sys

import googleapiclient
import jsonschema
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

root, agents_name, agents_digest = sys.argv[1:]
path = os.path.join(os.path.dirname(googleapiclient.__file__), "discovery_cache", "documents", "drive.v3.json")
with open(path, encoding="utf-8") as file:
    document = json.load(file)


def described(schema):
    """The description's own dialect as JSON Schema: references, numbers in strings, nothing unknown."""
    if isinstance(schema, list):
        return [described(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": "#/$defs/" + schema["$ref"]}
    out = {key: described(value) for key, value in schema.items()
           if key in ("type", "items", "enum", "additionalProperties") and value != "any"}
    if schema.get("format") in ("int64", "uint64"):
        out = {"type": "string", "pattern": "^-?[0-9]+$"}
    if "properties" in schema:
        out["properties"] = {key: described(value) for key, value in schema["properties"].items()}
        out.setdefault("additionalProperties", False)
    return out


DEFS = {name: described(schema) for name, schema in document["schemas"].items()}
validated = 0


def fits(answer, schema):
    global validated
    jsonschema.validate(answer, {"$ref": "#/$defs/" + schema, "$defs": DEFS})
    validated += 1
    return answer


def refused(answer, schema):
    try:
        jsonschema.validate(answer, {"$ref": "#/$defs/" + schema, "$defs": DEFS})
    except jsonschema.ValidationError:
        return True
    return False


# Negative controls: a number where a string belongs, and a key that Google does not know.
assert refused({"size": 5}, "File") and refused({"sha257Checksum": "x"}, "File")

document["rootUrl"] = root + "/"
document["baseUrl"] = root + "/drive/v3/"
drive = build_from_document(document, credentials=Credentials("tok"))
files = drive.files()

fits(drive.about().get(fields="*").execute(), "About")
ids = fits(files.generateIds(count=5).execute(), "GeneratedIds")["ids"]
folder = fits(files.create(body={"name": "theirs", "mimeType": "application/vnd.google-apps.folder"}, fields="*")
              .execute(), "File")["id"]

content = os.urandom(3 * 262144 + 17)
media = MediaIoBaseUpload(io.BytesIO(content), "application/octet-stream", chunksize=262144, resumable=True)
body = {"id": ids[0], "name": "it's \\ here", "parents": [folder], "appProperties": {"key": "value's"}}
request = files.create(body=body, media_body=media, fields="*", supportsAllDrives=True)
answer = None
chunks = 0
while answer is None:
    _, answer = request.next_chunk()
    chunks += 1
assert chunks == 4, chunks
fits(answer, "File")
assert answer["sha256Checksum"] == hashlib.sha256(content).hexdigest()
assert answer["size"] == str(len(content))

# The same id again: a conflict, never a second file.
try:
    files.create(body=body, media_body=MediaIoBaseUpload(io.BytesIO(b"x"), "text/plain"), fields="*").execute()
    raise SystemExit("a second file with one id")
except HttpError as error:
    assert error.resp.status == 409, error

small = files.create(body={"name": "small", "parents": [folder]}, fields="*",
                     media_body=MediaIoBaseUpload(io.BytesIO(b"hello\r\n--x\r\n"), "text/plain")).execute()
fits(small, "File")
empty = files.create(body={"name": "empty", "parents": [folder]}, fields="*",
                     media_body=MediaIoBaseUpload(io.BytesIO(b""), "text/plain", resumable=True)).execute()
assert fits(empty, "File")["size"] == "0"

# A chunk that is no multiple of 256 KiB is refused, and an address that nobody has given out is not known.
http = files.get(fileId=folder).http
response, _ = http.request(root + "/upload/drive/v3/files?uploadType=resumable", "POST", body="{}",
                           headers={"Content-Type": "application/json"})
session = response["location"]
headers = {"Content-Range": "bytes 0-999/*"}
response, said = http.request(session, "PUT", body=b"x" * 1000, headers=headers)
assert response.status == 400 and b"equal or greater than 262144" in said, said
response, _ = http.request(session + "0", "PUT", body=b"", headers={"Content-Range": "bytes */*"})
assert response.status == 404, response

query = "appProperties has { key='key' and value='value\\'s' } and '%s' in parents and trashed = false" % folder
found = fits(files.list(q=query, fields="*").execute(), "FileList")["files"]
assert [one["id"] for one in found] == [ids[0]], found
query = "name = 'IT\\'s \\\\ here' and not mimeType = 'text/plain'"
assert len(fits(files.list(q=query, fields="files(id,name)").execute(), "FileList")["files"]) == 1
page = fits(files.list(q="'%s' in parents" % folder, pageSize=2).execute(), "FileList")
assert len(page["files"]) == 2
rest = fits(files.list(q="'%s' in parents" % folder, pageSize=2, pageToken=page["nextPageToken"]).execute(), "FileList")
assert len(rest["files"]) == 1 and "nextPageToken" not in rest

buffer = io.BytesIO()
download = MediaIoBaseDownload(buffer, files.get_media(fileId=ids[0]), chunksize=100_000)
done = False
while not done:
    _, done = download.next_chunk()
assert buffer.getvalue() == content
assert files.get_media(fileId=small["id"]).execute() == b"hello\r\n--x\r\n"

fits(files.update(fileId=small["id"], body={"trashed": True}, fields="*").execute(), "File")
assert all(one["id"] != small["id"] for one in
           files.list(q="'%s' in parents and trashed = false" % folder).execute()["files"])
files.delete(fileId=small["id"]).execute()
try:
    files.get(fileId=small["id"]).execute()
    raise SystemExit("a deleted file is there")
except HttpError as error:
    assert error.resp.status == 404

# What the agent has uploaded.
mine = fits(files.list(q="name = '%s'" % agents_name, fields="*").execute(), "FileList")["files"]
assert len(mine) == 1, mine
read = files.get_media(fileId=mine[0]["id"]).execute()
assert hashlib.sha256(read).hexdigest() == agents_digest == mine[0]["sha256Checksum"]
print(validated, "answers validated")
