#!/usr/bin/env bash
# Registers a program, runs it, and reads its record: bash examples/grpcurl/first-program.sh [HOST:PORT]
set -euo pipefail
address=${1:-127.0.0.1:8080}
call() { grpcurl -plaintext -d "$1" "$address" "sigrun.v1.$2"; }

# The request_id makes it safe to run this again: the same program comes back.
call '{
  "request_id": "6f0c6d5e-2b0f-4e53-9b7b-5b5d3f5a1c01",
  "program": {
    "name": "Capital by grpcurl",
    "signature": {"text": "country -> capital", "instructions": "Name the capital of the country."}
  }
}' ProgramService/CreateProgram > /dev/null

answer=$(call '{"program_id": "capital-by-grpcurl", "inputs": {"country": "France"}}' ProgramService/ExecuteProgram)
echo "$answer"

id=$(sed -n 's/^    "id": "\(.*\)",$/\1/p' <<< "$answer")
echo "On record:"
call "{\"id\": \"$id\"}" ExecutionService/GetExecution
