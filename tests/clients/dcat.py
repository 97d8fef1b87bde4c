"""Reads the catalogue by rdflib and asks it for every mandatory property of DCAT-AP 3.0.1, and for what this exchange adds."""

import os
import socket
import sys
import urllib.request

import rdflib

url = os.environ["QUAN_URL"]
listings = int(os.environ["QUAN_LISTINGS"])
ask = socket.getaddrinfo


def ours_alone(host, *more, **named):
    """The context is inline: whoever else is asked is an error."""
    if host not in ("127.0.0.1", "localhost"):
        sys.exit(f"reading the catalogue asks {host}")
    return ask(host, *more, **named)


socket.getaddrinfo = ours_alone

with urllib.request.urlopen(f"{url}/v1/catalogue.jsonld") as answer:
    text = answer.read()
graph = rdflib.Graph().parse(data=text, format="json-ld")

PREFIXES = """
PREFIX dcat: <http://www.w3.org/ns/dcat#>
PREFIX dct: <http://purl.org/dc/terms/>
PREFIX foaf: <http://xmlns.com/foaf/0.1/>
PREFIX odrl: <http://www.w3.org/ns/odrl/2/>
PREFIX spdx: <http://spdx.org/rdf/terms#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
"""
# A class, how many of it there are, and what each of it must have; DCAT-AP 3.0.1, mandatory, then ours.
SHAPES = {
    "dcat:Catalog": (1, [
        "dct:title ?v FILTER(isLiteral(?v) && strlen(?v) > 0)",
        "dct:description ?v FILTER(isLiteral(?v) && strlen(?v) > 0)",
        "dct:publisher ?v . ?v a foaf:Agent ; foaf:name ?name",
        "dcat:dataset ?v . ?v a dcat:Dataset",
    ]),
    "dcat:Dataset": (listings, [
        "dct:title ?v FILTER(isLiteral(?v) && strlen(?v) > 0)",
        "dct:description ?v FILTER(isLiteral(?v) && strlen(?v) > 0)",
        "dct:publisher ?v . ?v a foaf:Agent ; foaf:name ?name",
        "dct:identifier ?v FILTER(strstarts(?v, 'sha-256:'))",
        "dcat:version ?v",
        "dct:language ?v FILTER(isIRI(?v))",
        "dcat:keyword ?v FILTER(lang(?v) != '')",
        "dct:issued ?v FILTER(datatype(?v) = xsd:dateTime)",
        "odrl:hasPolicy ?v . ?v a odrl:Offer ; odrl:permission ?permission",
        "dcat:distribution ?v . ?v a dcat:Distribution",
    ]),
    "dcat:Distribution": (None, [
        "dcat:accessURL ?v FILTER(isIRI(?v))",
        "dcat:downloadURL ?v FILTER(isIRI(?v))",
        "dcat:mediaType ?v FILTER(isIRI(?v))",
        "dct:license ?v FILTER(isIRI(?v))",
        "dcat:byteSize ?v FILTER(datatype(?v) = xsd:nonNegativeInteger)",
        "spdx:checksum ?v . ?v spdx:algorithm spdx:checksumAlgorithm_sha256 ; spdx:checksumValue ?hex"
        " FILTER(datatype(?hex) = xsd:hexBinary && strlen(str(?hex)) = 64)",
    ]),
}


def these(where):
    return {row[0] for row in graph.query(f"{PREFIXES} SELECT DISTINCT ?s WHERE {{ {where} }}")}


for kind, (count, properties) in SHAPES.items():
    all_of_it = these(f"?s a {kind}")
    if not all_of_it or count not in (None, len(all_of_it)):
        sys.exit(f"{len(all_of_it)} of {kind}, not {count}")
    for one in properties:
        missing = all_of_it - these(f"?s a {kind} ; {one}")
        if missing:
            sys.exit(f"{kind} without {one}: {sorted(missing)[0]}")
print(len(graph), "triples: every mandatory property is there")
