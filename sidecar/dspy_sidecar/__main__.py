"""The process: `python -m dspy_sidecar --listen unix:/run/sidecar.sock`."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# Generated code imports itself by absolute names, so its folder is a root of its own.
sys.path.insert(0, str(Path(__file__).parent.parent / "gen"))
# Read when litellm is imported: without it, litellm fetches a price list.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
# Read when tqdm is imported: optimizers would show their progress between the lines of the log.
os.environ["TQDM_DISABLE"] = "1"

from dspy_sidecar import log
from dspy_sidecar.forks import Forks, Work
from dspy_sidecar.heartbeat import Pipe
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.proxies import except_loopback
from dspy_sidecar.serving.access import check_address
from dspy_sidecar.serving.workers import Workers, addresses
from dspy_sidecar.settings import Settings, SettingsError
from dspy_sidecar.stacks import write_on_request
from dspy_sidecar.tools.mcp_servers import read_servers


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dspy_sidecar", description="Runs DSPy programs for a sigrun gateway."
    )
    listening = (
        "address of the first worker, unix:/path.sock or host:port; the others listen at "
        "/path-1.sock or the next port (default: %(default)s)"
    )
    parser.add_argument("--listen", default="127.0.0.1:50051", help=listening)
    parser.add_argument(
        "--exit-with-stdin",
        action="store_true",
        help="end when stdin ends, which happens when the parent dies",
    )
    parser.add_argument(
        "--heartbeats",
        type=int,
        help="file descriptor of a pipe to write a byte to every second",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        help="where optimizers save their progress, to resume after a crash (default: below /tmp)",
    )
    return parser.parse_args()


def main() -> None:
    """Starts the local model before DSPy is imported, so that both load at the same time."""
    # Until there are workers to drain, a signal ends this process at once. Python would raise an
    # exception, which an import may swallow.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    log.set_up()
    except_loopback(os.environ)
    args = arguments()
    write_on_request(sys.stderr.fileno())
    heartbeats = Pipe(args.heartbeats) if args.heartbeats is not None else None
    if heartbeats:
        heartbeats.beat_while_starting()
    if args.exit_with_stdin:
        threading.Thread(target=end_with_stdin, name="stdin", daemon=True).start()
    try:
        settings = Settings.read(os.environ)
        check_address(args.listen, settings.token)
        # Each worker reads the file again. If it is invalid, no worker is started.
        read_servers(os.environ)
    except SettingsError as error:
        log.logger.error(str(error))
        sys.exit(2)
    embedded = EmbeddedModel.start() if settings.wants_embedded else None
    try:
        from dspy_sidecar.models.keys import missing, unset_keys
        from dspy_sidecar.serving.server import prepare, serve

        prepare()
        for model in settings.allowed_models:
            if names := unset_keys(model):
                log.logger.warning(missing(model, names))
        listening = addresses(args.listen, settings.workers)

        forks = Forks(load_optimizer)

        def work(number: int, alive: int, beat: Callable[[], None]) -> None:
            model = embedded and embedded.in_worker()
            folder = args.work_dir
            asyncio.run(
                serve(listening[number], number, settings, model, alive, beat, forks, folder)
            )

        if heartbeats:
            heartbeats.started()
        beat = heartbeats.beat if heartbeats else lambda: None
        Workers(settings.workers, work, beat, forks).run()
    finally:
        if embedded:
            embedded.stop()


def load_optimizer() -> Work:
    """The work of an optimizer's process, whose imports take half a second."""
    from dspy_sidecar.optimizing.main import main as optimize

    return optimize


def end_with_stdin() -> None:
    """Whoever started us is gone: as if it had sent SIGTERM, also while DSPy is imported."""
    while os.read(sys.stdin.fileno(), 1_024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
