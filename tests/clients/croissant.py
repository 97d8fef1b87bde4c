"""Validates a version's Croissant document by mlcroissant and loads every record set of it from the exchange, as who may have it."""

import json
import os
import socket
import sys
import urllib.request

url, listing = os.environ["QUAN_URL"], os.environ["QUAN_LISTING"]
# A file of the version, and how many rows it has.
rows = json.loads(os.environ["QUAN_ROWS"])
# Programs that know no bearer send the key as a password.
os.environ["CROISSANT_BASIC_AUTH_USERNAME"] = "quan"
os.environ["CROISSANT_BASIC_AUTH_PASSWORD"] = os.environ["QUAN_TOKEN"]

ask = socket.getaddrinfo


def ours_alone(host, *more, **named):
    """Nothing but the exchange is needed to read the document: whoever else is asked is an error."""
    if host not in ("127.0.0.1", "localhost"):
        sys.exit(f"reading the document asks {host}")
    return ask(host, *more, **named)


socket.getaddrinfo = ours_alone

import mlcroissant  # noqa: E402 (it may look around when it is imported)

with urllib.request.urlopen(f"{url}/v1/listings/{listing}/croissant.json") as answer:
    media = answer.headers["content-type"]
    document = json.load(answer)
if media != 'application/ld+json; profile="http://mlcommons.org/croissant/1.1"':
    sys.exit(f"the media type is {media}")
# What the specification asks for and the validator lets pass.
for name in ["name", "description", "url", "creator", "license", "datePublished", "version", "citeAs"]:
    if not document.get(name):
        sys.exit(f"there is no {name}")

path = "croissant.json"
with open(path, "w", encoding="utf-8") as file:
    json.dump(document, file)
dataset = mlcroissant.Dataset(jsonld=path)
issues = dataset.metadata.issues
if issues.errors or issues.warnings:
    sys.exit(f"errors: {list(issues.errors)}\nwarnings: {list(issues.warnings)}")

loaded = {}
for record_set in dataset.metadata.record_sets:
    records = list(dataset.records(record_set.uuid))
    fields = {field.uuid for field in record_set.fields}
    for record in records:
        if set(record) != fields:
            sys.exit(f"{record_set.description}: {set(record)} are not {fields}")
    if all(value is None for record in records for value in record.values()):
        sys.exit(f"{record_set.description}: nothing was read")
    loaded[record_set.description] = len(records)
if loaded != rows:
    sys.exit(f"{loaded} were loaded, not {rows}")
print("valid, and loaded:", loaded)
