"""One JSON line an event on stderr, as the gateway writes its own."""

import json
import logging
import sys
from datetime import UTC, datetime

logger = logging.getLogger("sidecar")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what stands in `extra={"fields": {...}}` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
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
    """Sends our own records to stderr, and of everybody else's only the warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(logging.INFO)
