"""The straight way from a predictor to its model: what would come out the same at each run is made once, by DSPy.

A run by DSPy makes its signature's fields, a model's capabilities, a canonical request and the wire's form of it each time,
and as much again of the answer. Here a run writes its own message, sends it, and reads the answer where that is plain.
Whatever is not, such as a fault, a refusal or an answer that is cut off, is read by DSPy as always.
"""

from collections import OrderedDict
from typing import Any

import dspy
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy.clients import execution
from dspy.clients.call_result import CallResult
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.log import logger
from dspy_sidecar.long_texts import in_thread_if_long
from dspy_sidecar.models.adapters import ChatAdapter, XMLAdapter
from dspy_sidecar.models.cached_lm import LM, SETTINGS, accounted, attempts, planned
from dspy_sidecar.models.http.engine import MARK, Engine, Template
from dspy_sidecar.models.http.plain import plain
from dspy_sidecar.models.http.prompt import Prompt
from dspy_sidecar.models.meter import Meter

MOST = 4
"""Models and adapters that a predictor keeps its way to, its demos with each; a way is soon made again."""


class Directs:
    """A module's straight ways, by model and adapter."""

    def __init__(self, module: dspy.Module) -> None:
        predict = module.predict if type(module) is dspy.ChainOfThought else module
        self._predict = predict if type(predict) is dspy.Predict else None
        self._made: OrderedDict[tuple[dspy.LM, dspy.Adapter], Direct | None] = OrderedDict()

    def to(self, lm: dspy.LM, adapter: dspy.Adapter) -> "Direct | None":
        """None where DSPy has more to do than this way does."""
        if self._predict is None or type(adapter) not in (ChatAdapter, XMLAdapter):
            return None
        key = (lm, adapter)
        if key not in self._made:
            try:
                self._made[key] = direct(self._predict, lm, adapter)
            except Exception as error:
                # A key that is missing, say: DSPy meets the same fault at the run, and that is where it is told.
                logger.debug("a predictor's runs go through DSPy", exc_info=error)
                self._made[key] = None
        self._made.move_to_end(key)
        while len(self._made) > MOST:
            self._made.popitem(last=False)
        return self._made[key]


def direct(predict: dspy.Predict, lm: dspy.LM, adapter: dspy.Adapter) -> "Direct | None":
    """Asks DSPy for all that it makes of a predictor, and looks whether that is all there is to it.

    The types of the wire (`annotations.py`) are none that DSPy treats in a way of its own, as it does images or histories.
    """
    engine = lm.way if isinstance(lm, LM) else None
    if engine is None:
        return None
    prompt = adapter.format(predict.signature, predict.demos, {})
    call = execution.prepare(lm, None, ending(prompt, MARK), predict.config, asynchronous=True)
    if call.cache or call.n != 1 or not call.legacy.keys() <= SETTINGS:
        return None
    template = engine.template(call)
    return Direct(predict, lm, adapter, engine, template, prompt) if template else None


def ending(prompt: Prompt, content: str) -> Prompt:
    """A prompt with another message of the run's own."""
    return Prompt([*prompt[:-1], {"role": "user", "content": content}], prompt.constant)


class Direct:
    """One predictor's way to one model."""

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
        """The outputs, as DSPy's predictor would give them; None where it has to do so itself, and nothing was asked."""
        if inputs.keys() != self._fields:
            return None
        content = self._adapter.format_user_message_content(
            self._signature, inputs, main_request=True
        )
        try:
            body = self._template.saying(content)
        except TypeError:
            return None
        output = await self._ask(body, content, meter)
        signature, config = self._signature, dict(self._config)
        try:
            if isinstance(output, str) and output:
                return await in_thread_if_long(
                    len(output), lambda: self._adapter.parse(signature, output)
                )
            made = self._adapter._call_postprocess(signature, signature, [output], self._lm, config)
            return made[0]  # type: ignore[no-any-return]
        except AdapterParseError:
            again = self._adapter._make_json_adapter_fallback()
            with planned(self._lm, config):
                return (await again.acall(self._lm, config, signature, self._demos, inputs))[0]  # type: ignore[no-any-return]

    async def _ask(self, body: bytes, content: str, meter: Meter) -> Any:
        async def attempt(state: execution._Attempt, spent: list[CallResult]) -> None:
            answer = await self._template.post.send(body)
            state.result = plain(answer)
            if state.result is None:
                await self._read(answer, content, state, spent)

        outputs = None
        meter.asks(self._lm.model)
        try:
            with accounted(self._lm) as spent:
                result = await attempts(self._lm, self._engine.provider, attempt, spent)
            meter.add_usage(self._lm.model, result.usage)
            outputs = result.outputs
        finally:
            meter.answered(outputs)
        return outputs[0]

    async def _read(
        self, answer: HttpResponse, content: str, state: execution._Attempt, spent: list[CallResult]
    ) -> None:
        """By DSPy, as if it had asked."""
        call = execution.prepare(
            self._lm, None, ending(self._prompt, content), self._config, asynchronous=True
        )
        engine = self._engine
        request = engine.request(call)
        await execution._aattempt(
            self._lm, call, engine.that_got(answer), request, engine.provider, state, spent
        )
