"""The words in which servers say that a prompt is too long, and words that are like them."""

import pytest

from dspy_sidecar.models.context_windows import MAX_WORDS, says_context, words_of

LONG = {
    "OpenAI": "This model's maximum context length is 8192 tokens. However, your messages resulted "
    "in 9001 tokens. Please reduce the length of the messages.",
    "OpenAI, new models": "Input tokens exceed the configured limit of 272000 tokens. Your "
    "messages "
    "resulted in 300000 tokens. Please reduce the length of the messages.",
    "OpenAI, responses": "Your input exceeds the context window of this model. Please adjust your "
    "input and try again.",
    "OpenAI, one text": "Invalid 'messages[1].content': string too long. Expected a string with "
    "maximum length 1048576, but got a string with length 1200000 instead.",
    "Azure": "This model's maximum context length is 16385 tokens, however you requested 17000 "
    "tokens (16000 in your prompt; 1000 for the completion).",
    "vLLM": "This model's maximum context length is 4096 tokens. However, you requested 9000 "
    "tokens "
    "in the messages, Please reduce the length of the messages.",
    "vLLM, decoder": "The decoder prompt (length 9005) is longer than the maximum model length of "
    "4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
    "vLLM, with max_tokens": "'max_tokens' or 'max_completion_tokens' is too large: 4096. This "
    "model's maximum context length is 4096 tokens and your request has 200 input tokens.",
    "vLLM, parts": "You passed 5000 input tokens and requested 512 output tokens. However, the "
    "model's context length is only 4096 tokens, resulting in a maximum input length of 3584.",
    "SGLang": "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "SGLang, total": "Requested token count exceeds the model's maximum context length of 4096.",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
    "llama.cpp, with numbers": "request (9015 tokens) exceeds the available context size (4096 "
    "tokens), try increasing it",
    "llama.cpp, during the answer": "Context size has been exceeded.",
    "llama.cpp, batch": "input is too large to process. increase the physical batch size",
    "llama-cpp-python": "Requested tokens (5000) exceed context window of 2048",
    "LM Studio": "Trying to keep the first 4534 tokens when context the overflows. However, the "
    "model is loaded with context length of only 4096 tokens, which is not enough.",
    "LM Studio, engine": "The number of tokens to keep from the initial prompt is greater than the "
    "context length. Try to load the model with a larger context length, or provide a shorter "
    "input",
    "LM Studio, during the answer": "Reached context length of 4096 tokens with this model, but "
    "this model does not currently support mid-generation context overflow.",
    "Ollama": "the input length exceeds the context length",
    "Ollama, cloud": "prompt too long; exceeded max context length by 45 tokens",
    "Anthropic": "prompt is too long: 208310 tokens > 200000 maximum",
    "Anthropic, with max_tokens": "input length and `max_tokens` exceed context limit: 188240 + "
    "21333 > 200000, decrease input length or `max_tokens` and try again",
    "Gemini": "The input token count (1200000) exceeds the maximum number of tokens allowed "
    "(1048576).",
    "Vertex": "Unable to submit request because the input token count is 40000 but model only "
    "supports up to 32768. Reduce the input token count and try again.",
    "Bedrock": "The model returned the following errors: Input is too long for requested model.",
    "Bedrock, Nova": "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please "
    "update the input to try again.",
    "Bedrock, Titan": "400 Bad Request: Too many input tokens. Max input tokens: 8192, request "
    "input token count: 11000",
    "Bedrock, Cohere": "Malformed input request: expected maxLength: 2048, actual: 4000, please "
    "reformat your input and try again.",
    "Mistral": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 "
    "maximum context length",
    "Cohere": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received "
    "4290. Try using a shorter prompt",
    "Groq": "Please reduce the length of the messages or completion.",
    "xAI": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "TGI": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
    "5000 `inputs` tokens and 512 `max_new_tokens`",
    "TGI, input": "Input validation error: `inputs` must have less than 4096 tokens. Given: 4301",
    "TensorRT-LLM": "Prompt length (5000) exceeds maximum input length (4096).",
    "Moonshot": "Invalid request: Your request exceeded model token limit: 8192",
    "MiniMax": "invalid params, context window exceeds limit (2013)",
    "GitHub": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "DashScope": "Range of input length should be [1, 30720]",
    "watsonx": "the number of input tokens 5000 cannot exceed the total tokens limit 4096",
    "images in the prompt": "The prompt with its images is 9000 tokens, longer than the model's "
    "context length of 8192.",
    "a proxy of litellm": "litellm.ContextWindowExceededError: BadRequestError: too long",
}

OTHER = {
    "the answer's length": "max_tokens is too large: 100000. This model supports at most 16384 "
    "completion tokens, whereas you provided 100000.",
    "the answer's length, Anthropic": "max_tokens: 10000 > 8192, which is the maximum allowed "
    "number of output tokens",
    "the answer's length, Gemini": "Unable to submit request because it has a maxOutputTokens "
    "value "
    "of 100000 but the supported range is from 1 (inclusive) to 8193 (exclusive).",
    "the answer's length, in a sentence": "The requested max_tokens 9000 exceeds the limit of 4096",
    "a rate limit": "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used "
    "20000, Requested 15000. Please try again in 10s.",
    "a rate limit, Anthropic": "This request would exceed your organization's rate limit of 30,000 "
    "input tokens per minute.",
    "a rate limit, Groq": "Request too large for model `llama` on tokens per minute (TPM): Limit "
    "6000, Requested 7000, please reduce your message size and try again.",
    "a rate limit, Bedrock": "Too many tokens, please wait before trying again.",
    "a quota": "You exceeded your current quota: generate_content_free_tier_input_token_count",
    "a filter": "The response was filtered due to the prompt triggering the content policy.",
    "a key": "Incorrect API key provided: sk-...1234.",
    "a format": "response_format is not supported by this model",
    "a name": "Invalid 'tools[0].name': string too long. Expected a string with maximum length 64.",
    "a temperature": "Unsupported value: 'temperature' does not support 0.7 with this model.",
    "a model": "The model `gpt-9` does not exist or you do not have access to it.",
    "an image": "Input image is too large.",
    "an image in the messages": "The conversation contains an image that is too large.",
    "a file": "The input contains a file that is too large to process.",
    "a parameter": "context_length parameter is not supported, only num_ctx",
    "bytes": "Request payload size exceeds the limit: 20971520 bytes.",
    "a page": "<html><head><title>413 Request Entity Too Large</title></head></html>",
    "nothing": "",
}


@pytest.mark.parametrize("server", LONG)
def test_the_words_of_every_server_for_a_long_prompt_are_known(server):
    assert says_context([LONG[server]])


@pytest.mark.parametrize("kind", OTHER)
def test_other_errors_are_no_long_prompts(kind):
    assert not says_context([OTHER[kind]])


@pytest.mark.parametrize(
    "code",
    [
        "context_length_exceeded",
        "exceed_context_size_error",
        "model_context_window_exceeded",
        "tokens_limit_reached",
    ],
)
def test_a_code_is_enough(code):
    assert says_context([code])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "a", "code": 400, "type": "b"}}', ["a", "b"]),
        ('{"error": "a"}', ["a"]),
        ('{"object": "error", "message": "a", "type": "b", "code": 400}', ["a", "b"]),
        ('{"detail": [{"msg": "a", "input": "a caller\'s maximum context length"}]}', ["a"]),
        ('[{"error": {"message": "a", "status": "INVALID_ARGUMENT"}}]', ["a"]),
        ('{"error": {"message": "a", "metadata": {"raw": "b"}}}', ["a", "b"]),
        ("no JSON", ["no JSON"]),
        ("null", []),
    ],
)
def test_the_words_of_a_body_are_those_that_say_what_is_wrong(body, words):
    assert words_of(body) == words


def test_a_prompt_that_an_error_repeats_is_not_looked_at():
    echo = "invalid request: " + "x" * MAX_WORDS + LONG["OpenAI"]
    assert not says_context([echo])
