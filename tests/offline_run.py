"""What Weights & Biases has stored of an offline run, read without it.

The file is LevelDB's log format: blocks of 32768 bytes with records of checksum (4),
length (2) and type (1: whole, 2, 3, 4: first, middle and last part), after a header of
7 bytes; each record is a protocol buffer.
"""

import json
import struct
import time

BLOCK, HEADER = 32768, 7


def read_records(folder):
    """Return the records of the only run below a folder, when it has ended."""
    deadline = time.monotonic() + 60  # wandb writes in a process of its own
    while time.monotonic() < deadline:
        paths = list(folder.glob("wandb/offline-run-*/*.wandb"))
        records = parse_records(paths[0].read_bytes()) if paths else []
        if records and records[-1].WhichOneof("record_type") == "exit":
            return records
        time.sleep(0.05)
    raise TimeoutError(folder)


def parse_records(content):
    """Return the records that are whole."""
    from wandb.proto import wandb_internal_pb2

    records, data, place = [], b"", HEADER
    while place + HEADER <= len(content):
        room = BLOCK - place % BLOCK
        if room < HEADER:  # the rest of a block is padding
            place += room
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        place += HEADER
        if place + length > len(content):
            break
        data += content[place : place + length]
        place += length
        if kind in (1, 4):
            records.append(wandb_internal_pb2.Record.FromString(data))
            data = b""
    return records


def read_history(folder):
    """Return what was logged, a dictionary for each call."""
    rows = [record.history for record in read_records(folder) if record.history.item]
    return [
        {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for item in row.item
        }
        for row in rows
    ]


def read_config(folder):
    """Return the config of the run."""
    (run,) = (r.run for r in read_records(folder) if r.run.run_id)
    return {item.key: json.loads(item.value_json) for item in run.config.update}


def read_summary(folder):
    """Return the last value of all that is in the run's summary, by key."""
    summary = {}
    for record in read_records(folder):
        for item in record.summary.update:
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return summary


def read_artifacts(folder):
    """Return type and files of each artifact that is not a table, by name."""
    artifacts = [record.artifact for record in read_records(folder)]
    return {
        artifact.name: (artifact.type, [f.path for f in artifact.manifest.contents])
        for artifact in artifacts
        if artifact.name and artifact.type != "run_table"
    }
