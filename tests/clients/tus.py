"""Uploads a file by tuspy in chunks; pauses after three, says so, goes on when told to, over whatever breaks."""

import os
import sys

from tusclient.client import TusClient

url, path = os.environ["QUAN_URL"], os.environ["QUAN_FILE"]
client = TusClient(url + "/v1/uploads", headers={"Authorization": "Bearer " + os.environ["QUAN_TOKEN"]})
common = {"file_path": path, "chunk_size": 1 << 20, "retries": 60, "retry_delay": 1}

first = client.uploader(metadata={"filename": os.path.basename(path)}, **common)
first.upload(stop_at=3 << 20)
print(first.url, first.offset, flush=True)

sys.stdin.readline()
# Another uploader, which knows the address only: it asks the server how far it is.
second = client.uploader(url=first.url, **common)
if second.offset != first.offset:
    sys.exit(f"the server has {second.offset}, acknowledged were {first.offset}")
second.upload()
print("done", second.get_offset(), flush=True)
