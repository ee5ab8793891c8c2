"""The fast path of a predictor: prepares with DSPy, once, whatever is the same in every run.

In each run DSPy builds the signature's fields, the model's capabilities, a canonical request and
its wire form, and as many objects for the answer. The fast path formats only the run's own message,
puts it into the prepared request, sends it, and reads a plain answer. DSPy reads every other
answer: errors, refusals, answers that are cut off.
"""

from collections import OrderedDict
from typing import Any

import dspy
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy.clients import execution
from dspy.clients.call_result import CallResult
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.log import logger
from dspy_sidecar.long_texts import in_thread_if_long, size_of
from dspy_sidecar.models.adapters import ChatAdapter, XMLAdapter, unreadable_if_refused
from dspy_sidecar.models.http.engine import PLACEHOLDER, Engine, Template
from dspy_sidecar.models.http.plain import read_plain
from dspy_sidecar.models.http.prompt import Prompt
from dspy_sidecar.models.lm import (
    LM,
    NATIVE_SETTINGS,
    accounting_failures,
    known_capabilities,
    with_retries,
)
from dspy_sidecar.models.meter import Meter
from dspy_sidecar.models.reading.cut_off import finish_reasons, marked

MAX_FAST_PATHS = 4
"""Fast paths of one predictor, each with the predictor's demos as text. Preparing one is cheap."""


class FastPaths:
    """LRU cache of a module's fast paths, by model and adapter."""

    def __init__(self, module: dspy.Module) -> None:
        predict = module.predict if type(module) is dspy.ChainOfThought else module
        self._predict = predict if type(predict) is dspy.Predict else None
        self._paths: OrderedDict[tuple[dspy.LM, dspy.Adapter], FastPath | None] = OrderedDict()

    def find(self, lm: dspy.LM, adapter: dspy.Adapter) -> "FastPath | None":
        """The fast path to a model by an adapter; None if DSPy must run the module."""
        if self._predict is None or type(adapter) not in (ChatAdapter, XMLAdapter):
            return None
        key = (lm, adapter)
        if key not in self._paths:
            try:
                self._paths[key] = make_fast_path(self._predict, lm, adapter)
            except Exception as error:
                # For example a missing API key. The run meets the same error in DSPy, and the
                # caller is told then.
                logger.debug("a predictor's runs go through DSPy", exc_info=error)
                self._paths[key] = None
        self._paths.move_to_end(key)
        while len(self._paths) > MAX_FAST_PATHS:
            self._paths.popitem(last=False)
        return self._paths[key]


def make_fast_path(predict: dspy.Predict, lm: dspy.LM, adapter: dspy.Adapter) -> "FastPath | None":
    """Prepares the request of a predictor; None if a run needs more than that request.

    DSPy converts some types of values to message parts, as images and histories. The types that
    `annotations.py` makes are none of those.
    """
    engine = lm.fast_engine if isinstance(lm, LM) else None
    if engine is None:
        return None
    prompt = adapter.format(predict.signature, predict.demos, {})
    messages = with_last_message(prompt, PLACEHOLDER)
    call = execution.prepare(lm, None, messages, predict.config, asynchronous=True)
    if call.cache or call.n != 1 or not call.legacy.keys() <= NATIVE_SETTINGS:
        return None
    template = engine.template(call)
    return FastPath(predict, lm, adapter, engine, template, prompt) if template else None


def with_last_message(prompt: Prompt, content: str) -> Prompt:
    """A copy of a prompt with another last message, the run's own."""
    return Prompt([*prompt[:-1], {"role": "user", "content": content}], prompt.constant)


class FastPath:
    """The prepared requests of one predictor to one model."""

    def __init__(
        self,
        predict: dspy.Predict,
        lm: LM,
        adapter: ChatAdapter | XMLAdapter,
        engine: Engine,
        template: Template,
        prompt: Prompt,
    ) -> None:
        self._signature = predict.signature
        self._demos = predict.demos
        self._config = predict.config
        self._fields = predict.signature.input_fields.keys()
        self._lm = lm
        self._adapter = adapter
        self._engine = engine
        self._template = template
        self._prompt = prompt

    async def answer(self, inputs: dict[str, Any], meter: Meter) -> dict[str, Any] | None:
        """The outputs by name, as DSPy's predictor gives them.

        None if DSPy must run the module: a text is no valid Unicode, or an input is none of the
        module's. No request was sent then.

        Raises:
            LMError: The request failed, also after retries.
            AdapterParseError: The answer can't be parsed, nor the answer to a retry in JSON.
            OutputTruncatedError: The answer was cut off before all outputs had ended.

        """
        if not inputs.keys() <= self._fields:
            return None
        try:
            content, body = await in_thread_if_long(
                size_of(inputs), lambda: self._content_and_body(inputs)
            )
        except TypeError:
            return None
        output = await self._request(body, content, meter)
        signature, config = self._signature, dict(self._config)
        try:
            if isinstance(output, str) and output:
                return await in_thread_if_long(
                    len(output), lambda: self._adapter.parse(signature, output)
                )
            outputs = self._adapter._call_postprocess(
                signature, signature, [output], self._lm, config
            )
            return outputs[0]
        except AdapterParseError as error:
            json_adapter = self._adapter._make_json_adapter_fallback()
            with unreadable_if_refused(error), known_capabilities(self._lm, config):
                outputs = await json_adapter.acall(self._lm, config, signature, self._demos, inputs)
                return outputs[0]  # type: ignore[no-any-return]

    def _content_and_body(self, inputs: dict[str, Any]) -> tuple[str, bytes]:
        content = self._adapter.format_user_message_content(
            self._signature, inputs, main_request=True
        )
        return content, self._template.body_with(content)

    async def _request(self, body: bytes, content: str, meter: Meter) -> Any:
        async def attempt(state: execution._Attempt, spent: list[CallResult]) -> None:
            answer = await self._template.post.send(body)
            state.result = read_plain(answer)
            if state.result is None:
                await self._read_by_dspy(answer, content, state, spent)

        outputs = None
        meter.request_began(self._lm.model)
        try:
            with accounting_failures(self._lm) as spent:
                result = await with_retries(self._lm, self._engine.provider, attempt, spent)
            meter.add_usage(self._lm.model, result.usage)
            # A plain answer has no response of DSPy's; the model ended it itself.
            reasons = finish_reasons(result) if result.responses else ["stop"]
            meter.answer_ended(reasons[0])
            outputs = marked(result.outputs, reasons)
        finally:
            meter.request_ended(outputs)
        return outputs[0]

    async def _read_by_dspy(
        self, answer: HttpResponse, content: str, state: execution._Attempt, spent: list[CallResult]
    ) -> None:
        """Has DSPy make the same request again, and gives it the answer that is already there."""
        messages = with_last_message(self._prompt, content)
        call = execution.prepare(self._lm, None, messages, self._config, asynchronous=True)
        engine = self._engine
        request = engine.request(call)
        await execution._aattempt(
            self._lm, call, engine.replaying(answer), request, engine.provider, state, spent
        )
