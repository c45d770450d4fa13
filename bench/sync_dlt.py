"""The same download by dlt, as one would set it up: `PYTHON bench/sync_dlt.py PSCLOUD DATABASE FOLDER`, with a Python that has dlt.

rest_api source with the cursor of the contract, merge with the upsert strategy, load files as CSV. Prints seconds, without imports, and
its peak memory in MB. It has no search index and no other index than dlt makes."""

import os
import resource
import sys
import time

os.environ.update({"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"})

import dlt
from dlt.sources.rest_api import rest_api_source


def main(url: str, database: str, folder: str) -> None:
    """Do it once."""
    begun = time.perf_counter()
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url}/api/v1/",
                "paginator": {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"},
            },
            "resources": [
                {
                    "name": "soas",
                    "primary_key": "id",
                    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
                    "endpoint": {"path": "soas", "data_selector": "data", "params": {"limit": 500}},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=folder, destination=dlt.destinations.postgres(database), dataset_name="bench_dlt", progress=None
    )
    pipeline.run(source, loader_file_format="csv")
    print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
