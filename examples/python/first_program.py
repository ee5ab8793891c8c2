"""Registers a program, runs it, and reads the record of the run.

Usage: python examples/python/first_program.py [HOST:PORT]
Needs `pip install grpcio grpcio-tools`; the script generates the client's code from proto/.
"""

import sys
import tempfile
from pathlib import Path

import grpc
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
GENERATED = tempfile.TemporaryDirectory()
PROTOS = [str(path) for path in (ROOT / "proto/sigrun/v1").glob("*.proto")]
WELL_KNOWN = Path(protoc.__file__).parent / "_proto"
INCLUDES = [f"-I{ROOT / 'proto'}", f"-I{WELL_KNOWN}"]
OUTPUTS = [f"--python_out={GENERATED.name}", f"--grpc_python_out={GENERATED.name}"]
assert protoc.main(["", *INCLUDES, *OUTPUTS, *PROTOS]) == 0
sys.path.insert(0, GENERATED.name)

from sigrun.v1 import execution_service_pb2 as execution_pb
from sigrun.v1 import execution_service_pb2_grpc as execution_grpc
from sigrun.v1 import program_service_pb2 as program_pb
from sigrun.v1 import program_service_pb2_grpc as program_grpc
from sigrun.v1 import signature_service_pb2 as signature_pb

with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080") as channel:
    programs = program_grpc.ProgramServiceStub(channel)
    executions = execution_grpc.ExecutionServiceStub(channel)

    # With the same request_id, a second run of this script gets the same program.
    text = 'review -> sentiment: Literal["positive", "negative"]'
    signature = signature_pb.Signature(text=text)
    created = programs.CreateProgram(
        program_pb.CreateProgramRequest(
            request_id="6f0c6d5e-2b0f-4e53-9b7b-5b5d3f5a1c03",
            program=program_pb.Program(name="Sentiment by Python", signature=signature),
        )
    )
    print(f"program   {created.program.handle}")

    request = program_pb.ExecuteProgramRequest(program_id=created.program.handle)
    request.inputs.update({"review": "The battery died after two days."})
    answer = programs.ExecuteProgram(request)
    print(f"answer    {answer.outputs['sentiment']}")

    record = executions.GetExecution(
        execution_pb.GetExecutionRequest(id=answer.execution.id)
    ).execution
    status = (
        execution_pb.ExecutionStatus.Name(record.status).removeprefix("EXECUTION_STATUS_").lower()
    )
    print(f"on record {status}, {record.token_usage.total_tokens} tokens, {record.duration_ms} ms")
