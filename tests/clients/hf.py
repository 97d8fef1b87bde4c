"""A dataset by huggingface_hub and datasets, with a key of the exchange as the token: `make FOLDER`, `before`, `after FOLDER`."""

import json
import os
import pathlib
import sys

STEP = sys.argv[1]
FOLDER = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
REPO = os.environ.get("QUAN_REPO", "")
ROWS = [{"id": n, "language": "zh" if n % 2 else "en", "text": f"第{n}行" if n % 2 else f"line {n}"} for n in range(1_000)]
PARQUET, LINES = "data/train.parquet", "lines/train.jsonl"


def make():
    """Writes what a vendor sells: the same rows as Parquet and as JSON lines, and a text whose name is no word of ASCII."""
    import pyarrow
    import pyarrow.parquet

    for path in (PARQUET, LINES):
        (FOLDER / path).parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), FOLDER / PARQUET, compression="zstd")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    (FOLDER / LINES).write_text(lines, encoding="utf-8")
    (FOLDER / "说明 100%.txt").write_text("two lines\nof notes\n", encoding="utf-8")


def refused(what, kind, words):
    """Insists on an exception of exactly this class that says this."""
    try:
        what()
    except Exception as fault:
        said = str(fault)
        if type(fault) is not kind or words not in said:
            sys.exit(f"{type(fault).__name__}: {said}; expected {kind.__name__}: … {words} …")
        print(kind.__name__, "as it should be")
    else:
        sys.exit(f"{kind.__name__} was expected, and it went well")


def before():
    from datasets import load_dataset
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    info = HfApi().dataset_info(REPO)
    paths = sorted(sibling.rfilename for sibling in info.siblings)
    if info.gated != "manual" or paths != sorted([PARQUET, LINES, "README.md", "说明 100%.txt"]):
        sys.exit(f"{info}")
    # The card may be read, what it describes may not; the sentence is the exchange's.
    card = pathlib.Path(hf_hub_download(REPO, "README.md", repo_type="dataset")).read_text(encoding="utf-8")
    if not card.startswith("---\n"):
        sys.exit(card)
    sentence = "order it first: ask POST /v1/quotes, then POST /v1/orders"
    refused(lambda: snapshot_download(REPO, repo_type="dataset"), GatedRepoError, sentence)
    refused(lambda: hf_hub_download(REPO, PARQUET, repo_type="dataset"), GatedRepoError, sentence)
    # datasets reads the card; of the first file behind it, it says so in a class of its file system, but when streaming.
    refused(lambda: load_dataset(REPO), FileNotFoundError, sentence)
    refused(lambda: rows(load_dataset(REPO, streaming=True)), GatedRepoError, sentence)
    # What is not there is told from what is not bought.
    missing = lambda repo, **more: lambda: HfApi().dataset_info(repo, **more)
    refused(missing(REPO + "-2"), RepositoryNotFoundError, "Repository Not Found")
    refused(missing(REPO, revision="9.9.9"), RevisionNotFoundError, "Revision Not Found")
    refused(lambda: hf_hub_download(REPO, "none.csv", repo_type="dataset"), RemoteEntryNotFoundError, "Entry Not Found")


def rows(loaded):
    return list(loaded["train"])


def after():
    from datasets import load_dataset
    from huggingface_hub import HfFileSystem, hf_hub_download, snapshot_download

    one = pathlib.Path(hf_hub_download(REPO, LINES, repo_type="dataset", revision="1.0.0"))
    same(one.read_bytes(), LINES)
    whole = pathlib.Path(snapshot_download(REPO, repo_type="dataset"))
    came = {path.relative_to(whole).as_posix(): path for path in whole.rglob("*") if path.is_file()}
    if not came.pop("README.md").read_bytes().startswith(b"---\n"):
        sys.exit("README.md has no front matter")
    sold = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    if set(came) != sold:
        sys.exit(f"{sorted(came)} came, {sorted(sold)} were sold")
    for path, file in came.items():
        same(file.read_bytes(), path)
    with HfFileSystem().open(f"datasets/{REPO}/{LINES}", "rb") as file:
        file.seek(1_000)
        if file.read(500) != (FOLDER / LINES).read_bytes()[1_000:1_500]:
            sys.exit("a part of a file is another part")
    # A repository loads in one format, ours in the first it has; the files of the others are named.
    lines = {"path": "json", "data_files": f"hf://datasets/{REPO}/{LINES}"}
    for what in ({"path": REPO}, lines):
        for streaming in (False, True):
            if rows(load_dataset(**what, streaming=streaming)) != ROWS:
                sys.exit(f"{what}, streaming {streaming}: other rows came")
            print("loaded", what["path"], "streaming" if streaming else "whole")


def same(bytes_, path):
    if bytes_ != (FOLDER / path).read_bytes():
        sys.exit(f"{path}: other bytes came")


{"make": make, "before": before, "after": after}[STEP]()
