"""The log: one JSON line an event on stderr, in the gateway's format."""

import json
import logging
import sys
from datetime import UTC, datetime

logger = logging.getLogger("sidecar")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON, with the members of `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The JSON line of a record."""
        level = "warn" if record.levelname == "WARNING" else record.levelname.lower()
        time = datetime.fromtimestamp(record.created, UTC).isoformat()
        line = {
            "level": level,
            "time": time,
            **getattr(record, "fields", {}),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up() -> None:
    """Sends the sidecar's records to stderr from INFO on, and other packages' from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(logging.INFO)
