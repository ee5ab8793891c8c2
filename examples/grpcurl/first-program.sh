#!/usr/bin/env bash
# Registers a program, runs it, and reads the record of the run.
# Usage: bash examples/grpcurl/first-program.sh [HOST:PORT]
set -euo pipefail
address=${1:-127.0.0.1:8080}
call() { grpcurl -plaintext -d "$1" "$address" "sigrun.v1.$2"; }

# With the same request_id, a second run of this script gets the same program.
call '{
  "request_id": "6f0c6d5e-2b0f-4e53-9b7b-5b5d3f5a1c01",
  "program": {
    "name": "Sentiment by grpcurl",
    "signature": {"text": "review -> sentiment: Literal[\"positive\", \"negative\"]"}
  }
}' ProgramService/CreateProgram > /dev/null

answer=$(call '{
  "program_id": "sentiment-by-grpcurl",
  "inputs": {"review": "The battery died after two days."}
}' ProgramService/ExecuteProgram)
echo "$answer"

id=$(sed -n 's/^    "id": "\(.*\)",$/\1/p' <<< "$answer")
echo "On record:"
call "{\"id\": \"$id\"}" ExecutionService/GetExecution
