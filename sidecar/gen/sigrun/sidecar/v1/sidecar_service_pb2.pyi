from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Scalar(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCALAR_UNSPECIFIED: _ClassVar[Scalar]
    SCALAR_STR: _ClassVar[Scalar]
    SCALAR_INT: _ClassVar[Scalar]
    SCALAR_FLOAT: _ClassVar[Scalar]
    SCALAR_BOOL: _ClassVar[Scalar]
SCALAR_UNSPECIFIED: Scalar
SCALAR_STR: Scalar
SCALAR_INT: Scalar
SCALAR_FLOAT: Scalar
SCALAR_BOOL: Scalar

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("dspy_version", "default_model", "allowed_models", "workers", "boot_id", "tools", "tool_servers_away")
    DSPY_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    TOOL_SERVERS_AWAY_FIELD_NUMBER: _ClassVar[int]
    dspy_version: str
    default_model: str
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    workers: int
    boot_id: str
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    tool_servers_away: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dspy_version: _Optional[str] = ..., default_model: _Optional[str] = ..., allowed_models: _Optional[_Iterable[str]] = ..., workers: _Optional[int] = ..., boot_id: _Optional[str] = ..., tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ..., tool_servers_away: _Optional[_Iterable[str]] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Type(_message.Message):
    __slots__ = ("scalar", "literal", "list", "dict", "optional")
    SCALAR_FIELD_NUMBER: _ClassVar[int]
    LITERAL_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    DICT_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_FIELD_NUMBER: _ClassVar[int]
    scalar: Scalar
    literal: LiteralType
    list: ListType
    dict: DictType
    optional: OptionalType
    def __init__(self, scalar: _Optional[_Union[Scalar, str]] = ..., literal: _Optional[_Union[LiteralType, _Mapping]] = ..., list: _Optional[_Union[ListType, _Mapping]] = ..., dict: _Optional[_Union[DictType, _Mapping]] = ..., optional: _Optional[_Union[OptionalType, _Mapping]] = ...) -> None: ...

class LiteralType(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class ListType(_message.Message):
    __slots__ = ("element",)
    ELEMENT_FIELD_NUMBER: _ClassVar[int]
    element: Type
    def __init__(self, element: _Optional[_Union[Type, _Mapping]] = ...) -> None: ...

class DictType(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: Scalar
    value: Type
    def __init__(self, key: _Optional[_Union[Scalar, str]] = ..., value: _Optional[_Union[Type, _Mapping]] = ...) -> None: ...

class OptionalType(_message.Message):
    __slots__ = ("of",)
    OF_FIELD_NUMBER: _ClassVar[int]
    of: Type
    def __init__(self, of: _Optional[_Union[Type, _Mapping]] = ...) -> None: ...

class Field(_message.Message):
    __slots__ = ("name", "type", "description", "constraints")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: Type
    description: str
    constraints: Constraints
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[Type, _Mapping]] = ..., description: _Optional[str] = ..., constraints: _Optional[_Union[Constraints, _Mapping]] = ...) -> None: ...

class Constraints(_message.Message):
    __slots__ = ("min_length", "max_length", "min", "max", "gt", "lt", "pattern", "other")
    MIN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    GT_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    min_length: int
    max_length: int
    min: float
    max: float
    gt: float
    lt: float
    pattern: str
    other: bytes
    def __init__(self, min_length: _Optional[int] = ..., max_length: _Optional[int] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., gt: _Optional[float] = ..., lt: _Optional[float] = ..., pattern: _Optional[str] = ..., other: _Optional[bytes] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("name", "instructions", "inputs", "outputs", "is_unnamed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    IS_UNNAMED_FIELD_NUMBER: _ClassVar[int]
    name: str
    instructions: str
    inputs: _containers.RepeatedCompositeFieldContainer[Field]
    outputs: _containers.RepeatedCompositeFieldContainer[Field]
    is_unnamed: bool
    def __init__(self, name: _Optional[str] = ..., instructions: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., is_unnamed: _Optional[bool] = ...) -> None: ...

class LmSettings(_message.Message):
    __slots__ = ("model", "temperature", "max_tokens", "params", "adapter", "cache")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    model: str
    temperature: float
    max_tokens: int
    params: bytes
    adapter: str
    cache: bool
    def __init__(self, model: _Optional[str] = ..., temperature: _Optional[float] = ..., max_tokens: _Optional[int] = ..., params: _Optional[bytes] = ..., adapter: _Optional[str] = ..., cache: _Optional[bool] = ...) -> None: ...

class Module(_message.Message):
    __slots__ = ("name", "type", "signature", "params", "lm", "wires", "modules", "tools", "lms")
    class LmsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: LmSettings
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[LmSettings, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    LM_FIELD_NUMBER: _ClassVar[int]
    WIRES_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    LMS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    signature: Signature
    params: bytes
    lm: LmSettings
    wires: _containers.RepeatedCompositeFieldContainer[Wire]
    modules: _containers.RepeatedCompositeFieldContainer[Module]
    tools: _containers.RepeatedScalarFieldContainer[str]
    lms: _containers.MessageMap[str, LmSettings]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., signature: _Optional[_Union[Signature, _Mapping]] = ..., params: _Optional[bytes] = ..., lm: _Optional[_Union[LmSettings, _Mapping]] = ..., wires: _Optional[_Iterable[_Union[Wire, _Mapping]]] = ..., modules: _Optional[_Iterable[_Union[Module, _Mapping]]] = ..., tools: _Optional[_Iterable[str]] = ..., lms: _Optional[_Mapping[str, LmSettings]] = ...) -> None: ...

class Wire(_message.Message):
    __slots__ = ("input", "module", "field")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    input: str
    module: str
    field: str
    def __init__(self, input: _Optional[str] = ..., module: _Optional[str] = ..., field: _Optional[str] = ...) -> None: ...

class Program(_message.Message):
    __slots__ = ("id", "signature", "modules", "lm", "compiled_state", "outputs")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    LM_FIELD_NUMBER: _ClassVar[int]
    COMPILED_STATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    signature: Signature
    modules: _containers.RepeatedCompositeFieldContainer[Module]
    lm: LmSettings
    compiled_state: str
    outputs: _containers.RepeatedCompositeFieldContainer[Wire]
    def __init__(self, id: _Optional[str] = ..., signature: _Optional[_Union[Signature, _Mapping]] = ..., modules: _Optional[_Iterable[_Union[Module, _Mapping]]] = ..., lm: _Optional[_Union[LmSettings, _Mapping]] = ..., compiled_state: _Optional[str] = ..., outputs: _Optional[_Iterable[_Union[Wire, _Mapping]]] = ...) -> None: ...

class LoadProgramRequest(_message.Message):
    __slots__ = ("program", "is_import")
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    IS_IMPORT_FIELD_NUMBER: _ClassVar[int]
    program: Program
    is_import: bool
    def __init__(self, program: _Optional[_Union[Program, _Mapping]] = ..., is_import: _Optional[bool] = ...) -> None: ...

class LoadProgramResponse(_message.Message):
    __slots__ = ("type",)
    TYPE_FIELD_NUMBER: _ClassVar[int]
    type: str
    def __init__(self, type: _Optional[str] = ...) -> None: ...

class ExportProgramRequest(_message.Message):
    __slots__ = ("program", "handle")
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    program: Program
    handle: str
    def __init__(self, program: _Optional[_Union[Program, _Mapping]] = ..., handle: _Optional[str] = ...) -> None: ...

class ExportProgramResponse(_message.Message):
    __slots__ = ("source", "compiled_state")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COMPILED_STATE_FIELD_NUMBER: _ClassVar[int]
    source: str
    compiled_state: str
    def __init__(self, source: _Optional[str] = ..., compiled_state: _Optional[str] = ...) -> None: ...

class RunProgramsRequest(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[RunCommand]
    def __init__(self, commands: _Optional[_Iterable[_Union[RunCommand, _Mapping]]] = ...) -> None: ...

class RunCommand(_message.Message):
    __slots__ = ("run", "start", "cancel", "taken")
    RUN_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    run: int
    start: Run
    cancel: Cancel
    taken: int
    def __init__(self, run: _Optional[int] = ..., start: _Optional[_Union[Run, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., taken: _Optional[int] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Run(_message.Message):
    __slots__ = ("program_id", "program", "inputs", "lm", "chunks", "scoring", "time_left_ms")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LM_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    SCORING_FIELD_NUMBER: _ClassVar[int]
    TIME_LEFT_MS_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    program: Program
    inputs: bytes
    lm: LmSettings
    chunks: bool
    scoring: Scoring
    time_left_ms: int
    def __init__(self, program_id: _Optional[str] = ..., program: _Optional[_Union[Program, _Mapping]] = ..., inputs: _Optional[bytes] = ..., lm: _Optional[_Union[LmSettings, _Mapping]] = ..., chunks: _Optional[bool] = ..., scoring: _Optional[_Union[Scoring, _Mapping]] = ..., time_left_ms: _Optional[int] = ...) -> None: ...

class Scoring(_message.Message):
    __slots__ = ("expected", "metrics")
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    expected: bytes
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    def __init__(self, expected: _Optional[bytes] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "field", "params", "weight")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    field: str
    params: bytes
    weight: float
    def __init__(self, name: _Optional[str] = ..., field: _Optional[str] = ..., params: _Optional[bytes] = ..., weight: _Optional[float] = ...) -> None: ...

class RunProgramsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RunEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[RunEvent, _Mapping]]] = ...) -> None: ...

class RunEvent(_message.Message):
    __slots__ = ("run", "trace", "chunk", "reset", "done", "failure")
    RUN_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    run: int
    trace: Trace
    chunk: Chunk
    reset: Reset
    done: Done
    failure: Failure
    def __init__(self, run: _Optional[int] = ..., trace: _Optional[_Union[Trace, _Mapping]] = ..., chunk: _Optional[_Union[Chunk, _Mapping]] = ..., reset: _Optional[_Union[Reset, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "reason", "message", "retry_after_s", "refusals")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    retry_after_s: float
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after_s: _Optional[float] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("path", "description", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    description: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., description: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Trace(_message.Message):
    __slots__ = ("steps", "token_usage", "model")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_USAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    token_usage: TokenUsage
    model: str
    def __init__(self, steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., token_usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("module", "outputs", "raw_answer", "token_usage", "duration_ms", "finish_reason")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    RAW_ANSWER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_USAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    module: str
    outputs: bytes
    raw_answer: str
    token_usage: TokenUsage
    duration_ms: int
    finish_reason: str
    def __init__(self, module: _Optional[str] = ..., outputs: _Optional[bytes] = ..., raw_answer: _Optional[str] = ..., token_usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., duration_ms: _Optional[int] = ..., finish_reason: _Optional[str] = ...) -> None: ...

class TokenUsage(_message.Message):
    __slots__ = ("input_tokens", "output_tokens", "cached_tokens", "lm_calls")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LM_CALLS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    lm_calls: int
    def __init__(self, input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., lm_calls: _Optional[int] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("module", "field", "text")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    module: str
    field: str
    text: str
    def __init__(self, module: _Optional[str] = ..., field: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Reset(_message.Message):
    __slots__ = ("module", "attempt")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    module: str
    attempt: int
    def __init__(self, module: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("outputs", "trace", "metric_scores")
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    METRIC_SCORES_FIELD_NUMBER: _ClassVar[int]
    outputs: bytes
    trace: Trace
    metric_scores: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, outputs: _Optional[bytes] = ..., trace: _Optional[_Union[Trace, _Mapping]] = ..., metric_scores: _Optional[_Iterable[float]] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("inputs", "outputs")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    inputs: bytes
    outputs: bytes
    def __init__(self, inputs: _Optional[bytes] = ..., outputs: _Optional[bytes] = ...) -> None: ...

class OptimizeProgramRequest(_message.Message):
    __slots__ = ("optimization_id", "program", "optimizer", "config", "metrics", "trainset", "valset", "seed", "budget", "lms", "threads", "handle")
    class LmsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: LmSettings
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[LmSettings, _Mapping]] = ...) -> None: ...
    OPTIMIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TRAINSET_FIELD_NUMBER: _ClassVar[int]
    VALSET_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    LMS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    optimization_id: str
    program: Program
    optimizer: str
    config: bytes
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    trainset: _containers.RepeatedCompositeFieldContainer[Example]
    valset: _containers.RepeatedCompositeFieldContainer[Example]
    seed: int
    budget: Budget
    lms: _containers.MessageMap[str, LmSettings]
    threads: int
    handle: str
    def __init__(self, optimization_id: _Optional[str] = ..., program: _Optional[_Union[Program, _Mapping]] = ..., optimizer: _Optional[str] = ..., config: _Optional[bytes] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., trainset: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., valset: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., seed: _Optional[int] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., lms: _Optional[_Mapping[str, LmSettings]] = ..., threads: _Optional[int] = ..., handle: _Optional[str] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("time_ms", "lm_calls", "tokens")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    LM_CALLS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    lm_calls: int
    tokens: int
    def __init__(self, time_ms: _Optional[int] = ..., lm_calls: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class OptimizeProgramResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: OptimizationProgress
    result: OptimizationResult
    def __init__(self, progress: _Optional[_Union[OptimizationProgress, _Mapping]] = ..., result: _Optional[_Union[OptimizationResult, _Mapping]] = ...) -> None: ...

class OptimizationProgress(_message.Message):
    __slots__ = ("phase", "message", "fraction", "best_score", "baseline_score", "token_usage")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    BEST_SCORE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_SCORE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_USAGE_FIELD_NUMBER: _ClassVar[int]
    phase: str
    message: str
    fraction: float
    best_score: float
    baseline_score: float
    token_usage: TokenUsage
    def __init__(self, phase: _Optional[str] = ..., message: _Optional[str] = ..., fraction: _Optional[float] = ..., best_score: _Optional[float] = ..., baseline_score: _Optional[float] = ..., token_usage: _Optional[_Union[TokenUsage, _Mapping]] = ...) -> None: ...

class OptimizationResult(_message.Message):
    __slots__ = ("compiled_state", "baseline_score", "score", "token_usage", "message")
    COMPILED_STATE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_USAGE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    compiled_state: str
    baseline_score: float
    score: float
    token_usage: TokenUsage
    message: str
    def __init__(self, compiled_state: _Optional[str] = ..., baseline_score: _Optional[float] = ..., score: _Optional[float] = ..., token_usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., message: _Optional[str] = ...) -> None: ...

class ListProgramsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProgramsResponse(_message.Message):
    __slots__ = ("programs",)
    PROGRAMS_FIELD_NUMBER: _ClassVar[int]
    programs: _containers.RepeatedCompositeFieldContainer[LoadedProgram]
    def __init__(self, programs: _Optional[_Iterable[_Union[LoadedProgram, _Mapping]]] = ...) -> None: ...

class LoadedProgram(_message.Message):
    __slots__ = ("id", "type", "signature")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    signature: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...
