"""An S3 service that keeps no content: sizes and metadata only. For measuring uploads larger than the disk.

Argument: the port. Small objects (records) are kept whole, so that they can be read back.
"""
import hashlib
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEPT = 1 << 20
objects = {}
uploads = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def query(self):
        url = urllib.parse.urlsplit(self.path)
        return url.path, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))

    def body(self):
        """The size and MD5 of the body, and its bytes if they are few."""
        length = int(self.headers.get("Content-Length", 0))
        left, digest, kept = length, hashlib.md5(), b""
        while left:
            piece = self.rfile.read(min(left, 256 << 10))
            if not piece:
                raise ConnectionError("cut")
            digest.update(piece)
            left -= len(piece)
            if length <= KEPT:
                kept += piece
        return length, digest.hexdigest(), kept

    def answer(self, status, body=b"", size=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def xml(self, root, inner=""):
        self.answer(200, ('<?xml version="1.0"?><%s>%s</%s>' % (root, inner, root)).encode(), Content_Type="application/xml")

    def identity(self):
        return {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}

    def do_PUT(self):
        path, query = self.query()
        size, md5, kept = self.body()
        if "uploadId" in query:
            uploads[query["uploadId"]]["parts"][int(query["partNumber"])] = size
        else:
            objects[path] = {"size": size, "meta": self.identity(), "kept": kept, "etag": md5}
        self.answer(200, ETag='"%s"' % md5)

    def do_POST(self):
        path, query = self.query()
        self.body()
        if "uploads" in query:
            number = str(len(uploads) + 1)
            uploads[number] = {"parts": {}, "meta": self.identity()}
            self.xml("InitiateMultipartUploadResult", "<UploadId>%s</UploadId>" % number)
        else:
            upload = uploads[query["uploadId"]]
            size = sum(upload["parts"].values())
            objects[path] = {"size": size, "meta": upload["meta"], "kept": b"", "etag": "whole"}
            print("complete: %d parts, %d bytes" % (len(upload["parts"]), size), flush=True)
            self.xml("CompleteMultipartUploadResult", "<ETag>&quot;whole&quot;</ETag>")

    def do_HEAD(self):
        found = objects.get(self.query()[0])
        if found is None:
            self.answer(404)
        else:
            self.answer(200, size=found["size"], ETag='"%s"' % found["etag"], **found["meta"])

    def do_GET(self):
        path, query = self.query()
        if "uploads" in query:
            self.xml("ListMultipartUploadsResult")
        elif "list-type" in query:
            self.xml("ListBucketResult")
        elif path in objects:
            found = objects[path]
            self.answer(200, found["kept"], ETag='"%s"' % found["etag"], **found["meta"])
        else:
            self.answer(404)

    def do_DELETE(self):
        self.answer(204)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
