"""What a model's provider may answer instead of a completion."""

ERRORS = {
    "rate limit": (429, {"message": "slow"}, {"retry-after": "0"}),
    "billing": (429, {"message": "out", "code": "insufficient_quota"}, {}),
    "bad key": (401, {"message": "key"}, {}),
    "forbidden": (403, {"message": "no"}, {}),
    "no such model": (404, {"message": "model", "code": "model_not_found"}, {}),
    "too long": (
        400,
        {"message": "maximum context length is 10", "code": "context_length_exceeded"},
        {},
    ),
    "refused": (400, {"message": "no", "code": "content_filter"}, {}),
    "down": (500, {"message": "boom"}, {"retry-after": "0.01"}),
    "overloaded": (503, {"message": "later"}, {"retry-after": "0"}),
    "moved": (302, {"message": "there"}, {"retry-after": "0", "location": "http://127.0.0.1:1/"}),
}
