"""The operator's MCP servers, as the file that SIGRUN_MCP_SERVERS names has them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from dspy_sidecar.settings import SettingsError


class Stdio(pydantic.BaseModel):
    """A server that is started as a process. It gets the PATH, HOME and the like, and of our other variables none."""

    command: str
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    disabled: bool = False


class Http(pydantic.BaseModel):
    """A server at an address: streamable HTTP, or the older SSE where its type says so."""

    url: str
    headers: dict[str, str] = {}
    type: Literal["http", "streamable-http", "streamableHttp", "sse"] = "http"
    disabled: bool = False


ServerName = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class File(pydantic.BaseModel):
    """The form that MCP clients share."""

    # The names are the form's.
    mcpServers: dict[ServerName, Stdio | Http]


def read_servers(environ: Mapping[str, str]) -> dict[str, Stdio | Http]:
    """The servers by name; none where no file is named. SettingsError, without the file's values, where it can't be read."""
    named = environ.get("SIGRUN_MCP_SERVERS")
    if not named:
        return {}
    try:
        read = File.model_validate(json.loads(Path(named).read_text()))
    except OSError as error:
        raise SettingsError(
            f"SIGRUN_MCP_SERVERS: {named} can't be read: {error.strerror}"
        ) from None
    except pydantic.ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(f"SIGRUN_MCP_SERVERS: {named}: {wrong}") from None
    except ValueError:
        raise SettingsError(f"SIGRUN_MCP_SERVERS: {named} is not JSON") from None
    return {name: server for name, server in read.mcpServers.items() if not server.disabled}
