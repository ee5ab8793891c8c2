"""The operator's MCP servers, from the JSON file that SIGRUN_MCP_SERVERS names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from dspy_sidecar.settings import SettingsError


class Stdio(pydantic.BaseModel):
    """A server that the sidecar starts as a process.

    The process gets `env`, PATH, HOME and the like, and none of the sidecar's other variables.
    """

    command: str
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    disabled: bool = False


class Http(pydantic.BaseModel):
    """A server at an address: streamable HTTP, or the older SSE if its type says so."""

    url: str
    headers: dict[str, str] = {}
    type: Literal["http", "streamable-http", "streamableHttp", "sse"] = "http"
    disabled: bool = False


ServerName = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class File(pydantic.BaseModel):
    """The file's format, which MCP clients share."""

    # The format's own name.
    mcpServers: dict[ServerName, Stdio | Http]


def read_servers(environ: Mapping[str, str]) -> dict[str, Stdio | Http]:
    """The enabled servers by name; none if the variable is not set.

    Raises:
        SettingsError: The file can't be read. The message holds none of the file's values.

    """
    path = environ.get("SIGRUN_MCP_SERVERS")
    if not path:
        return {}
    try:
        file = File.model_validate(json.loads(Path(path).read_text()))
    except OSError as error:
        raise SettingsError(f"SIGRUN_MCP_SERVERS: {path} can't be read: {error.strerror}") from None
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(f"SIGRUN_MCP_SERVERS: {path}: {problems}") from None
    except ValueError:
        raise SettingsError(f"SIGRUN_MCP_SERVERS: {path} is not JSON") from None
    return {name: server for name, server in file.mcpServers.items() if not server.disabled}
